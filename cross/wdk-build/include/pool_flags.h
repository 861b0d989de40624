/* What wdk-sys expects of a WDK of Windows 10 2004 and mingw-w64 10 lacks (wdm.h). */
#pragma once

typedef ULONG64 POOL_FLAGS;

PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag);
