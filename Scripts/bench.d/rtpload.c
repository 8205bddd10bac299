// Many phones' worth of RTP from one thread, and what comes back. Reads lines "LOCAL_IP PORT REMOTE_IP PORT", two for each
// call (its two ends); every end sends 160 octets of G.711 each 20 ms, the ends spread evenly over the 20 ms. After the
// given seconds, and one before them that is not counted (the relay learns its peers), prints one line of JSON: packets
// sent and received, the delay through the relay in microseconds, the packets that came to the wrong end and those out of
// order; and `total`, all that came back, the first second's too: what the relay's CPU time is divided by.
//   rtpload SECONDS < ends
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 65536, BUCKETS = 200000 };  // a bucket a microsecond
// Packets closer than this, in nanoseconds, are sent and received in ticks, or the load would take a core of its own.
enum { DENSE = 15000, TICK = 100000 };

struct end {
  int fd;
  uint32_t ssrc, timestamp, expected;
  uint16_t sequence;
} ends[MOST];
static uint32_t histogram[BUCKETS];
static uint64_t sent, received, total, misplaced, disordered;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void send_one(struct end *e, int counted) {
  // RFC 3550 §5.1, and in the payload the time and the number of the end, for the receiver.
  unsigned char p[172];
  uint64_t stamp = now();
  uint32_t who = e - ends;
  memset(p, 0x55, sizeof p);
  p[0] = 0x80, p[1] = 0;
  p[2] = e->sequence >> 8, p[3] = e->sequence & 0xff, e->sequence++;
  uint32_t t = htonl(e->timestamp), s = htonl(e->ssrc);
  e->timestamp += 160;
  memcpy(p + 4, &t, 4), memcpy(p + 8, &s, 4);
  memcpy(p + 12, &stamp, 8), memcpy(p + 20, &who, 4), p[24] = counted;
  if (send(e->fd, p, sizeof p, MSG_DONTWAIT) == sizeof p) sent += counted;
}

static void receive_all(struct end *e) {
  unsigned char p[2048];
  for (;;) {
    ssize_t got = recv(e->fd, p, sizeof p, MSG_DONTWAIT);
    if (got < 25) {
      if (got < 0) return;
      continue;  // RTCP or something else small
    }
    uint64_t stamp;
    uint32_t who, mine = e - ends;
    memcpy(&stamp, p + 12, 8), memcpy(&who, p + 20, 4);
    if (who != (mine ^ 1)) {
      misplaced++;
      continue;
    }
    uint32_t sequence = p[2] << 8 | p[3];
    if (e->expected && sequence != (e->expected & 0xffff)) disordered++;
    e->expected = ((sequence + 1) & 0xffff) | 0x10000;
    total++;
    if (!p[24]) continue;
    received++;
    uint64_t delay = (now() - stamp) / 1000;
    histogram[delay < BUCKETS ? delay : BUCKETS - 1]++;
  }
}

static unsigned percentile(double share) {
  uint64_t wanted = received * share, seen = 0;
  for (unsigned i = 0; i < BUCKETS; i++)
    if ((seen += histogram[i]) > wanted) return i;
  return 0;
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? atof(argv[1]) : 5;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) limit.rlim_cur = limit.rlim_max, setrlimit(RLIMIT_NOFILE, &limit);
  int epoll = epoll_create1(0), count = 0, port, remote_port;
  char ip[64], remote[64];
  while (count < MOST && scanf("%63s %d %63s %d", ip, &port, remote, &remote_port) == 4) {
    struct end *e = &ends[count];
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(remote_port)};
    inet_pton(AF_INET, ip, &here.sin_addr), inet_pton(AF_INET, remote, &there.sin_addr);
    e->fd = socket(AF_INET, SOCK_DGRAM, 0);
    int size = 1 << 20;
    setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (e->fd < 0 || bind(e->fd, (struct sockaddr *)&here, sizeof here) < 0 ||
        connect(e->fd, (struct sockaddr *)&there, sizeof there) < 0)
      return perror("socket"), 1;
    e->ssrc = 0x4e000000 + count, e->timestamp = count * 7919, e->sequence = count * 31;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = e};
    epoll_ctl(epoll, EPOLL_CTL_ADD, e->fd, &event);
    count++;
  }
  if (!count) return fputs("no ends\n", stderr), 1;

  uint64_t begin = now(), counted = begin + 1000000000ull, gap = 20000000ull / count, due = begin, end = counted + seconds * 1e9, last = end + 300000000ull;
  int next = 0;
  struct epoll_event events[256];
  for (;;) {
    uint64_t t = now();
    if (t >= last) break;
    while (t >= due && due < end) {
      send_one(&ends[next], due >= counted);
      next = (next + 1) % count;
      due += gap;
    }
    uint64_t until = due < end ? due : last;
    t = now();
    uint64_t wait = until > t ? until - t : 0;
    if (gap < DENSE && t < end) {
      struct timespec tick = {0, TICK};
      clock_nanosleep(CLOCK_MONOTONIC, 0, &tick, NULL);
      wait = 0;
    }
    struct timespec timeout = {wait / 1000000000ull, wait % 1000000000ull};
    int ready = epoll_pwait2(epoll, events, 256, &timeout, NULL);
    for (int i = 0; i < ready; i++) receive_all(events[i].data.ptr);
  }
  printf("{\"sent\": %llu, \"received\": %llu, \"total\": %llu, \"misplaced\": %llu, \"disordered\": %llu, "
         "\"p50_us\": %u, \"p99_us\": %u, \"p999_us\": %u}\n",
         (unsigned long long)sent, (unsigned long long)received, (unsigned long long)total, (unsigned long long)misplaced,
         (unsigned long long)disordered, percentile(0.5), percentile(0.99), percentile(0.999));
  return 0;
}
