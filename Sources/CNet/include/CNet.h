/* What Swift's Glibc does not show of Linux's datagram sockets. Addresses cross as two words and a port, without memory
 * of their own; every call answers a count or a descriptor, or -errno. Nothing here allocates or blocks, save
 * cnet_epoll_wait. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

/* An IP address and port. family is 4, 6, or 0 for none; an IPv4 address is in the low 32 bits of low. */
struct cnet_address {
  uint64_t high, low;
  uint16_t port;
  uint8_t family;
};

/* A non-blocking UDP socket bound to address, IPv6 without mapped IPv4. dscp is the differentiated-services code point
 * of what it sends (46: expedited forwarding, RFC 3246); receive_bytes 0 leaves the kernel's default buffer. */
int cnet_udp_socket(const struct cnet_address *address, int dscp, int receive_bytes);

/* One datagram. The answer is its whole length, also where it did not fit: compare it with capacity. */
long cnet_receive(int fd, void *bytes, size_t capacity, struct cnet_address *from);
long cnet_send_to(int fd, const void *bytes, size_t count, const struct cnet_address *to);
/* For a connected socket. An error that an ICMP message left behind is taken off and the datagram is sent again. */
long cnet_send(int fd, const void *bytes, size_t count);

int cnet_connect(int fd, const struct cnet_address *to);
/* Back to receiving from anybody; the socket stays bound. */
int cnet_disconnect(int fd);

int cnet_epoll(void);
/* blocking: whether a read of it waits for a write. */
int cnet_eventfd(int blocking);
/* Waits with nanosecond resolution; a negative timeout waits for ever. -EINTR is answered as 0 events. */
int cnet_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t timeout_nanoseconds);

/* Raises the soft limit of open files to wanted, as far as the hard limit (or privilege) allows; answers the limit that
 * holds afterwards. */
uint64_t cnet_raise_open_files(uint64_t wanted);

/* Sleeps, to within some microseconds. */
void cnet_pause(int64_t nanoseconds);

/* CLOCK_MONOTONIC and CLOCK_REALTIME, in nanoseconds. */
int64_t cnet_monotonic_time(void);
int64_t cnet_wall_time(void);

/* For the calling thread: its name as ps and perf show it (15 characters), and no signal is delivered to it. */
void cnet_name_thread(const char *name);
