#include_next <ntifs.h>
#include "pool_flags.h"
