/* The receiver of the bench of storms: takes webhooks with as little work as can be, so that it is not what is measured.
 *
 *   sink ALERTS   listens on a free port of 127.0.0.1, answers each request with 200, and notes each "instance":"i-NUMBER"
 *                 of a body, with numbers below ALERTS
 *
 * Says `port PORT` on stdout, and `all MESSAGES NANOSECONDS CPU_SECONDS` once ALERTS different ones have come: when that was,
 * by CLOCK_MONOTONIC, and what it took since it listens. When stdin ends it says `seen ALERTS`, and ends. What it does not
 * understand ends it as well, with the reason on stderr: a figure would be of nothing. Whoever posts here says how long a body
 * is; chunks are not understood. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ALERTS_MAX 10000000
#define HEAD_BYTES_MAX ((size_t)64 << 10)
#define REQUEST_BYTES_MAX ((size_t)64 << 20)
/* Alertmanager opens one for each group that it tells of at the same time. */
#define CONNECTIONS_MAX 16384
#define FIRST_BYTES ((size_t)8 << 10)
#define EVENTS_MAX 256

struct connection {
  int fd;
  char *bytes;
  size_t size, used;
  /* Where the body of a request whose head has come begins, and where it ends. Before that the first is 0. */
  size_t body, end;
};

static const char TAKEN[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
static unsigned char *marks;
static size_t alerts, seen, messages, connections;
static double cpu_before_s;

static _Noreturn void give_up(const char *why) {
  fprintf(stderr, "the receiver ends: %s\n", why);
  exit(1);
}

static _Noreturn void give_up_by_errno(const char *what) {
  fprintf(stderr, "the receiver ends: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double cpu_s(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void say_all(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  printf("all %zu %lld %.6f\n", messages, now.tv_sec * 1000000000LL + now.tv_nsec, cpu_s() - cpu_before_s);
  fflush(stdout);
}

static const char *past_spaces(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')) at++;
  return at;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Marks the alerts that a body names. */
static void note(const char *at, const char *end) {
  static const char KEY[] = "\"instance\"";
  while ((at = memmem(at, end - at, KEY, sizeof KEY - 1)) != NULL) {
    at = past_spaces(at + sizeof KEY - 1, end);
    if (at == end || *at != ':') continue;
    at = past_spaces(at + 1, end);
    if (end - at < 3 || memcmp(at, "\"i-", 3) != 0) continue;
    size_t number = 0;
    const char *first = at += 3;
    for (; at < end && is_digit(*at) && number < ALERTS_MAX; at++) number = number * 10 + (*at - '0');
    if (at == first || at == end || (*at != '"' && !is_digit(*at))) continue;
    if (number >= alerts) give_up("it is told of an alert that nobody sent");
    unsigned char bit = 1 << number % 8;
    if (marks[number / 8] & bit) continue;
    marks[number / 8] |= bit;
    seen++;
  }
}

/* The value of a line of a head, when it has this name. */
static const char *value_of(const char *line, const char *end, const char *name) {
  size_t len = strlen(name);
  return (size_t)(end - line) >= len && strncasecmp(line, name, len) == 0 ? past_spaces(line + len, end) : NULL;
}

static size_t length_of(const char *at, const char *end) {
  size_t length = 0;
  if (at == end || !is_digit(*at)) give_up("a Content-Length is no number");
  for (; at < end && is_digit(*at); at++) {
    length = length * 10 + (*at - '0');
    if (length > REQUEST_BYTES_MAX) give_up("a request has more than 64 MiB");
  }
  if (past_spaces(at, end) != end) give_up("a Content-Length is no number");
  return length;
}

/* `end` is where the empty line that ends the head begins. */
static void read_head(struct connection *c, const char *end) {
  size_t length = 0;
  for (const char *line = c->bytes; line < end;) {
    const char *stop = memmem(line, end + 2 - line, "\r\n", 2);
    const char *value;
    if ((value = value_of(line, stop, "content-length:")) != NULL) length = length_of(value, stop);
    if (value_of(line, stop, "transfer-encoding:") != NULL) give_up("a request has a Transfer-Encoding");
    line = stop + 2;
  }
  c->body = end + 4 - c->bytes;
  c->end = c->body + length;
}

/* Whether a whole request has come. */
static bool whole(struct connection *c) {
  if (c->body == 0) {
    char *end = memmem(c->bytes, c->used, "\r\n\r\n", 4);
    if (end == NULL && c->used > HEAD_BYTES_MAX) give_up("the head of a request has more than 64 KiB");
    if (end == NULL) return false;
    read_head(c, end);
  }
  return c->used >= c->end;
}

static void drop(struct connection *c) {
  close(c->fd);
  free(c->bytes);
  free(c);
  connections--;
}

/* Makes room for more of a request than has come. */
static void grow(struct connection *c) {
  size_t most = HEAD_BYTES_MAX + REQUEST_BYTES_MAX;
  if (c->size >= most) give_up("a request has more than 64 MiB");
  c->size = c->size == 0 ? FIRST_BYTES : c->size * 2 < most ? c->size * 2 : most;
  c->bytes = realloc(c->bytes, c->size);
  if (c->bytes == NULL) give_up_by_errno("no memory");
}

static void hear(struct connection *c) {
  if (c->used == c->size) grow(c);
  ssize_t got = read(c->fd, c->bytes + c->used, c->size - c->used);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    drop(c);
    return;
  }
  c->used += got;
  while (c->used > 0 && whole(c)) {
    size_t before = seen;
    note(c->bytes + c->body, c->bytes + c->end);
    messages++;
    if (before < alerts && seen == alerts) say_all();
    ssize_t sent = send(c->fd, TAKEN, sizeof TAKEN - 1, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) {
      drop(c);
      return;
    }
    if (sent != (ssize_t)sizeof TAKEN - 1) give_up("a client does not read its answers");
    memmove(c->bytes, c->bytes + c->end, c->used - c->end);
    c->used -= c->end;
    c->body = 0;
  }
}

static void watch(int poll, int fd, void *what) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) give_up_by_errno("epoll_ctl");
}

static void take_connections(int poll, int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && errno == EAGAIN) return;
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0) give_up_by_errno("accept");
    if (++connections > CONNECTIONS_MAX) give_up("it has more than 16,384 connections");
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) give_up_by_errno("no memory");
    c->fd = fd;
    watch(poll, fd, c);
  }
}

/* Connections that come at once wait in the queue, whose length the kernel bounds: from a full one each is a second late. */
static int listening(void) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) give_up_by_errno("socket");
  /* Those that are accepted inherit it. */
  int on = 1;
  if (setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) give_up_by_errno("TCP_NODELAY");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, len) != 0) give_up_by_errno("bind");
  if (listen(listener, CONNECTIONS_MAX) != 0) give_up_by_errno("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &len) != 0) give_up_by_errno("getsockname");
  printf("port %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return listener;
}

int main(int argc, char **argv) {
  char *rest = "";
  alerts = argc == 2 ? strtoul(argv[1], &rest, 10) : 0;
  if (alerts == 0 || alerts > ALERTS_MAX || *rest != 0) give_up("usage: sink ALERTS, 1 to 10,000,000");
  marks = calloc(alerts / 8 + 1, 1);
  if (marks == NULL) give_up_by_errno("no memory");
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  int poll = epoll_create1(EPOLL_CLOEXEC);
  if (poll < 0) give_up_by_errno("epoll_create1");
  int listener = listening();
  /* What an event is of, when it is of no connection. */
  static char new_one, end;
  watch(poll, listener, &new_one);
  watch(poll, STDIN_FILENO, &end);
  cpu_before_s = cpu_s();
  for (;;) {
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(poll, events, EVENTS_MAX, -1);
    if (count < 0 && errno != EINTR) give_up_by_errno("epoll_wait");
    for (int i = 0; i < count; i++) {
      void *what = events[i].data.ptr;
      if (what == &end) {
        printf("seen %zu\n", seen);
        return 0;
      }
      if (what == &new_one) take_connections(poll, listener);
      else hear(what);
    }
  }
}
