#include_next <ntddk.h>
#include "pool_flags.h"
