/*
 * Sends small UDP packets, 64 bytes each on an Ethernet wire, to the discard port, and prints what one of them took. On
 * veth pairs a packet's whole way, up to where the receiver drops it, is run by the CPU that sends it.
 *
 *   udp-flood ADDRESS COUNT         nanoseconds a packet
 *   udp-flood ADDRESS COUNT tsc     ticks of the processor's time-stamp counter a packet
 *
 * WARM_UP more packets are sent before the clock starts: the first one sets up conntrack's entry and the neighbours.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#define DISCARD 9
#define PAYLOAD 18 /* with headers of 8, 20 and 14 bytes and a checksum of 4: 64 */
#define BATCH 64
#define WARM_UP 640

static void flood(int fd, long count)
{
	static char payload[PAYLOAD];
	struct iovec part = { payload, sizeof(payload) };
	struct mmsghdr batch[BATCH];
	int i;

	memset(batch, 0, sizeof(batch));
	for (i = 0; i < BATCH; i++) {
		batch[i].msg_hdr.msg_iov = &part;
		batch[i].msg_hdr.msg_iovlen = 1;
	}
	while (count > 0) {
		int sent = sendmmsg(fd, batch, count < BATCH ? count : BATCH, 0);

		if (sent < 0) {
			perror("sendmmsg");
			exit(1);
		}
		count -= sent;
	}
}

static double now(int tsc)
{
	struct timespec time;

#ifdef __x86_64__
	if (tsc)
		return __rdtsc();
#endif
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(DISCARD) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int tsc = argc > 3;
	double start;
	long count;

	if (argc < 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || (count = atol(argv[2])) <= 0) {
		fprintf(stderr, "usage: udp-flood ADDRESS COUNT [tsc]\n");
		return 2;
	}
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		perror("connect");
		return 1;
	}
	flood(fd, WARM_UP);
	start = now(tsc);
	flood(fd, count);
	printf("%.1f\n", (now(tsc) - start) / count);
	return 0;
}
