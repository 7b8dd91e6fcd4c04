/* What the processes of these tests share. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define CHECK(x)                                                                                                       \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			perror(#x);                                                                                    \
			exit(99);                                                                                      \
		}                                                                                                      \
	} while (0)
