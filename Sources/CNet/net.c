#define _GNU_SOURCE
#include "CNet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

union any_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

static socklen_t pack(const struct cnet_address *from, union any_address *to) {
  if (from->family == 6) {
    memset(&to->v6, 0, sizeof to->v6);
    to->v6.sin6_family = AF_INET6;
    to->v6.sin6_port = htons(from->port);
    uint64_t words[2] = {htobe64(from->high), htobe64(from->low)};
    memcpy(&to->v6.sin6_addr, words, sizeof words);
    return sizeof to->v6;
  }
  memset(&to->v4, 0, sizeof to->v4);
  to->v4.sin_family = AF_INET;
  to->v4.sin_port = htons(from->port);
  to->v4.sin_addr.s_addr = htonl((uint32_t)from->low);
  return sizeof to->v4;
}

static void unpack(const union any_address *from, struct cnet_address *to) {
  if (from->any.sa_family == AF_INET) {
    *to = (struct cnet_address){0, ntohl(from->v4.sin_addr.s_addr), ntohs(from->v4.sin_port), 4};
  } else if (from->any.sa_family == AF_INET6) {
    uint64_t words[2];
    memcpy(words, &from->v6.sin6_addr, sizeof words);
    *to = (struct cnet_address){be64toh(words[0]), be64toh(words[1]), ntohs(from->v6.sin6_port), 6};
  } else {
    *to = (struct cnet_address){0, 0, 0, 0};
  }
}

int cnet_udp_socket(const struct cnet_address *address, int dscp, int receive_bytes) {
  int v6 = address->family == 6, one = 1, tos = dscp << 2;
  int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
  if (tos > 0) {
    if (v6) setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
    else setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
  }
  if (receive_bytes > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  union any_address local;
  socklen_t length = pack(address, &local);
  if (bind(fd, &local.any, length) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

long cnet_receive(int fd, void *bytes, size_t capacity, struct cnet_address *from) {
  union any_address peer;
  socklen_t length = sizeof peer;
  ssize_t count = recvfrom(fd, bytes, capacity, MSG_DONTWAIT | MSG_TRUNC, &peer.any, &length);
  if (count < 0) return -errno;
  unpack(&peer, from);
  return count;
}

long cnet_send_to(int fd, const void *bytes, size_t count, const struct cnet_address *to) {
  union any_address peer;
  socklen_t length = pack(to, &peer);
  ssize_t sent = sendto(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL, &peer.any, length);
  return sent < 0 ? -errno : sent;
}

long cnet_send(int fd, const void *bytes, size_t count) {
  ssize_t sent = send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno == ECONNREFUSED) sent = send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? -errno : sent;
}

int cnet_connect(int fd, const struct cnet_address *to) {
  union any_address peer;
  socklen_t length = pack(to, &peer);
  return connect(fd, &peer.any, length) < 0 ? -errno : 0;
}

int cnet_disconnect(int fd) {
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  return connect(fd, &none, sizeof none) < 0 ? -errno : 0;
}

int cnet_epoll(void) {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int cnet_eventfd(int blocking) {
  int fd = eventfd(0, EFD_CLOEXEC | (blocking ? 0 : EFD_NONBLOCK));
  return fd < 0 ? -errno : fd;
}

int cnet_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t timeout_nanoseconds) {
  struct timespec timeout = {timeout_nanoseconds / 1000000000, timeout_nanoseconds % 1000000000};
  int count = epoll_pwait2(epoll, events, capacity, timeout_nanoseconds < 0 ? NULL : &timeout, NULL);
  if (count < 0 && errno == ENOSYS) { /* before Linux 5.11: milliseconds, rounded up so that nothing is early */
    int64_t milliseconds = timeout_nanoseconds < 0 ? -1 : (timeout_nanoseconds + 999999) / 1000000;
    count = epoll_wait(epoll, events, capacity, milliseconds > 0x7fffffff ? 0x7fffffff : (int)milliseconds);
  }
  if (count < 0) return errno == EINTR ? 0 : -errno;
  return count;
}

uint64_t cnet_raise_open_files(uint64_t wanted) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  struct rlimit higher = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
  if (setrlimit(RLIMIT_NOFILE, &higher) == 0) return wanted; /* past the hard limit this needs CAP_SYS_RESOURCE */
  higher = (struct rlimit){limit.rlim_max < wanted ? limit.rlim_max : wanted, limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &higher) == 0) return higher.rlim_cur;
  return limit.rlim_cur;
}

void cnet_pause(int64_t nanoseconds) {
  struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
}

static int64_t read_clock(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t cnet_monotonic_time(void) { return read_clock(CLOCK_MONOTONIC); }
int64_t cnet_wall_time(void) { return read_clock(CLOCK_REALTIME); }

void cnet_name_thread(const char *name) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, NULL);
  pthread_setname_np(pthread_self(), name);
}
