/*
 * Prints what the time-stamp counter advances by in an instruction: `= clock tick 1.000` where it counts instructions. It
 * does so in an emulated machine; a processor executes several of these in a tick, or few.
 */
#include <stdio.h>
#include <x86intrin.h>

#define ROUNDS 1000000L

int main(void)
{
	unsigned long long start = __rdtsc();
	long left = ROUNDS;

	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(left) : : "cc");
	printf("= clock tick %.3f\n", (double)(__rdtsc() - start) / (2 * ROUNDS));
	return 0;
}
