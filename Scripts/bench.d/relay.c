// The bare relay loop: what it costs the kernel to take a datagram from one socket and send it from another, and nothing
// else. The floor that the server's media threads are held against. Reads lines "PORT_A PORT_B" (loopback), a call each,
// says "ready", and relays from A's peer to B's peer and back, each peer being who sent last, until it is ended.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct side {
  int fd;
  struct side *other;
  struct sockaddr_in peer;
};

static struct side *open_side(int epoll, int port) {
  struct side *s = calloc(1, sizeof *s);
  struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int size = 1 << 20;
  if (!s || (s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) < 0) perror("socket"), exit(1);
  setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  if (bind(s->fd, (struct sockaddr *)&local, sizeof local) < 0) perror("bind"), exit(1);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &event) < 0) perror("epoll_ctl"), exit(1);
  return s;
}

int main(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) limit.rlim_cur = limit.rlim_max, setrlimit(RLIMIT_NOFILE, &limit);
  int epoll = epoll_create1(0), a, b;
  while (scanf("%d %d", &a, &b) == 2) {
    struct side *one = open_side(epoll, a), *two = open_side(epoll, b);
    one->other = two, two->other = one;
  }
  puts("ready"), fflush(stdout);

  static char packet[2048];
  struct epoll_event events[256];
  for (;;) {
    int count = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; i++) {
      struct side *s = events[i].data.ptr;
      for (;;) {
        socklen_t length = sizeof s->peer;
        ssize_t got = recvfrom(s->fd, packet, sizeof packet, 0, (struct sockaddr *)&s->peer, &length);
        if (got < 0) break;
        if (s->other->peer.sin_port)
          sendto(s->other->fd, packet, got, 0, (struct sockaddr *)&s->other->peer, sizeof s->other->peer);
      }
    }
  }
}
