// Load generator and backend of the benchmarks: one file, no dependencies.
//
//   load serve PORT                                the backend of every mode below
//   load pump PORT up|down STREAMS SECONDS         bulk: how many bytes a second
//   load pingpong PORT SECONDS                     one byte there and back: round trips in microseconds
//   load connect PORT CONCURRENCY SECONDS          connect, one byte there and back, close: connections a second
//
// All on 127.0.0.1. A client mode prints one line of JSON and exits 0, or says what failed and exits 1: a benchmark
// whose bytes do not add up is no benchmark.
//
// The first byte of a connection says what the backend does with it:
//   'U'            reads to the end, answers with the count of bytes after this one (u64, host order), closes
//   'D' + u32 ms   writes for that long, closes (host order: both ends are this program on one machine)
//   'E'            sends every byte back, this one included

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_SIZE = 128 * 1024, MAX_STREAMS = 256, MAX_SAMPLES = 4 * 1024 * 1024, MAX_EVENTS = 256 };

// A read that gets nothing for this long means that the path is stuck.
enum { STUCK_SECONDS = 20 };

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static double now_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct sockaddr_in loopback(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void set_no_delay(int socket) {
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Writes everything or says no.
static bool write_all(int socket, const void *bytes, size_t count) {
    const char *next = bytes;
    while (count > 0) {
        ssize_t written = send(socket, next, count, MSG_NOSIGNAL);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        next += written;
        count -= (size_t)written;
    }
    return true;
}

// Reads exactly `count` bytes or says no.
static bool read_all(int socket, void *bytes, size_t count) {
    char *next = bytes;
    while (count > 0) {
        ssize_t got = recv(socket, next, count, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        next += got;
        count -= (size_t)got;
    }
    return true;
}

// Reads to the end of the stream. Returns the bytes read, or -1 when it broke or went silent.
static int64_t read_to_end(int socket, char *buffer) {
    int64_t total = 0;
    for (;;) {
        ssize_t got = recv(socket, buffer, BUFFER_SIZE, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) return total;
        total += got;
    }
}

// ---------------------------------------------------------------------------------------------------- the backend

struct handover {
    int socket;
    char operation;
};

static void serve_upload(int socket, char *buffer) {
    int64_t count = read_to_end(socket, buffer);
    uint64_t answer = (uint64_t)count;
    if (count >= 0) write_all(socket, &answer, sizeof answer);
}

static void serve_download(int socket, const char *buffer) {
    uint32_t milliseconds;
    if (!read_all(socket, &milliseconds, sizeof milliseconds)) return;
    double end = now_seconds() + milliseconds / 1e3;
    while (now_seconds() < end && write_all(socket, buffer, BUFFER_SIZE)) continue;
}

// A bulk stream has a thread of its own, with blocking calls: the fewest system calls per byte.
static void *serve_bulk(void *argument) {
    struct handover work = *(struct handover *)argument;
    free(argument);
    char *buffer = calloc(1, BUFFER_SIZE);
    if (buffer != NULL && work.operation == 'U') serve_upload(work.socket, buffer);
    if (buffer != NULL && work.operation == 'D') serve_download(work.socket, buffer);
    free(buffer);
    close(work.socket);
    return NULL;
}

static void start_bulk(int socket, char operation) {
    struct handover *work = malloc(sizeof *work);
    pthread_t thread;
    if (work == NULL) fail("out of memory");
    *work = (struct handover){.socket = socket, .operation = operation};
    fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) & ~O_NONBLOCK);
    if (pthread_create(&thread, NULL, serve_bulk, work) != 0) fail("cannot start a thread");
    pthread_detach(thread);
}

// One readable connection of the event loop: an echo, or one whose first byte is to come.
static void serve_readable(int epoll, int socket) {
    char first;
    ssize_t peeked = recv(socket, &first, 1, MSG_PEEK);
    if (peeked < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (peeked == 1 && (first == 'U' || first == 'D')) {
        recv(socket, &first, 1, 0);
        epoll_ctl(epoll, EPOLL_CTL_DEL, socket, NULL);
        start_bulk(socket, first);
        return;
    }
    char bytes[4096];
    ssize_t got = peeked <= 0 ? peeked : recv(socket, bytes, sizeof bytes, 0);
    if (got <= 0 || !write_all(socket, bytes, (size_t)got)) close(socket);
}

static void accept_waiting(int epoll, int listener) {
    for (;;) {
        int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) return;
        set_no_delay(socket);
        struct epoll_event interest = {.events = EPOLLIN, .data.fd = socket};
        epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &interest);
    }
}

static int listen_on(uint16_t port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in address = loopback(port);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) fail("cannot bind port %u: %m", port);
    if (listen(listener, 4096) != 0) fail("cannot listen on port %u: %m", port);
    return listener;
}

_Noreturn static void serve(uint16_t port) {
    int listener = listen_on(port), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = listener}, events[MAX_EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &interest);
    for (;;) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, -1);
        for (int index = 0; index < ready; index++) {
            int socket = events[index].data.fd;
            if (socket == listener) accept_waiting(epoll, listener);
            else serve_readable(epoll, socket);
        }
    }
}

// ------------------------------------------------------------------------------------------------------- clients

static int connect_blocking(uint16_t port) {
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(port);
    struct timeval stuck = {.tv_sec = STUCK_SECONDS};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &stuck, sizeof stuck);
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &stuck, sizeof stuck);
    if (connect(client, (struct sockaddr *)&address, sizeof address) != 0) fail("cannot connect to port %u: %m", port);
    set_no_delay(client);
    return client;
}

struct pump {
    pthread_t thread;
    uint16_t port;
    bool up;
    double seconds;
    int64_t bytes;
};

// Uploads for the given time; the bytes count when the backend says that it has them.
static int64_t pump_up(int socket, double seconds, char *buffer) {
    int64_t sent = 0;
    uint64_t confirmed;
    double end = now_seconds() + seconds;
    if (!write_all(socket, "U", 1)) return -1;
    while (now_seconds() < end) {
        if (!write_all(socket, buffer, BUFFER_SIZE)) return -1;
        sent += BUFFER_SIZE;
    }
    if (shutdown(socket, SHUT_WR) != 0 || !read_all(socket, &confirmed, sizeof confirmed)) return -1;
    return (int64_t)confirmed == sent ? sent : -1;
}

static int64_t pump_down(int socket, double seconds, char *buffer) {
    char request[5] = {'D'};
    uint32_t milliseconds = (uint32_t)(seconds * 1e3);
    memcpy(request + 1, &milliseconds, sizeof milliseconds);
    if (!write_all(socket, request, sizeof request)) return -1;
    int64_t total = read_to_end(socket, buffer);
    // The backend writes whole buffers: anything else means that the end was cut off.
    return total > 0 && total % BUFFER_SIZE == 0 ? total : -1;
}

static void *run_pump(void *argument) {
    struct pump *pump = argument;
    char *buffer = calloc(1, BUFFER_SIZE);
    if (buffer == NULL) fail("out of memory");
    int socket = connect_blocking(pump->port);
    pump->bytes = pump->up ? pump_up(socket, pump->seconds, buffer) : pump_down(socket, pump->seconds, buffer);
    close(socket);
    free(buffer);
    return NULL;
}

static int pump(uint16_t port, const char *direction, int streams, double seconds) {
    struct pump pumps[MAX_STREAMS];
    bool up = strcmp(direction, "up") == 0;
    int64_t total = 0;
    if (!up && strcmp(direction, "down") != 0) fail("direction is up or down, not '%s'", direction);
    if (streams < 1 || streams > MAX_STREAMS) fail("streams: 1 to %d", MAX_STREAMS);
    double start = now_seconds();
    for (int index = 0; index < streams; index++) {
        pumps[index] = (struct pump){.port = port, .up = up, .seconds = seconds};
        if (pthread_create(&pumps[index].thread, NULL, run_pump, &pumps[index]) != 0) fail("cannot start a thread");
    }
    for (int index = 0; index < streams; index++) {
        pthread_join(pumps[index].thread, NULL);
        if (pumps[index].bytes < 0) fail("%s stream %d of %d: broken, stuck or bytes lost", direction, index + 1, streams);
        total += pumps[index].bytes;
    }
    printf("{\"bytes\": %lld, \"seconds\": %.6f}\n", (long long)total, now_seconds() - start);
    return 0;
}

// Latencies in microseconds.
struct samples {
    float *values;
    size_t count;
};

static struct samples new_samples(void) {
    struct samples samples = {.values = malloc(MAX_SAMPLES * sizeof(float)), .count = 0};
    if (samples.values == NULL) fail("out of memory");
    return samples;
}

static void add_sample(struct samples *samples, double seconds) {
    if (samples->count < MAX_SAMPLES) samples->values[samples->count++] = (float)(seconds * 1e6);
}

static int compare_floats(const void *left, const void *right) {
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

// Prints the line of JSON that `pingpong` and `connect` share.
static void print_latencies(struct samples *samples, size_t count, double elapsed) {
    if (samples->count == 0) fail("not one exchange was completed");
    qsort(samples->values, samples->count, sizeof(float), compare_floats);
    printf("{\"count\": %zu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n", count, elapsed,
           samples->values[samples->count / 2], samples->values[samples->count * 99 / 100],
           samples->values[samples->count - 1]);
}

static int pingpong(uint16_t port, double seconds) {
    struct samples samples = new_samples();
    int socket = connect_blocking(port);
    size_t count = 0;
    double start = now_seconds(), before = start;
    while (before < start + seconds) {
        char byte = 'E';
        if (!write_all(socket, &byte, 1) || !read_all(socket, &byte, 1)) fail("round trip %zu broke or got stuck", count + 1);
        double after = now_seconds();
        add_sample(&samples, after - before);
        before = after;
        count++;
    }
    print_latencies(&samples, count, before - start);
    return 0;
}

// One of the connections that `connect` keeps going at a time.
struct slot {
    int socket;
    double began;
    bool sent;
};

// Connections come from several loopback addresses in turn: closed ones hold their port in TIME_WAIT, and one
// address has too few ports for a fast path.
static void open_slot(int epoll, struct slot *slot, uint16_t port) {
    static uint32_t turn;
    struct sockaddr_in from = loopback(0), to = loopback(port);
    int on = 1;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % 32);
    *slot = (struct slot){.socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .began = now_seconds()};
    setsockopt(slot->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(slot->socket, (struct sockaddr *)&from, sizeof from) != 0) fail("cannot bind a source address: %m");
    if (connect(slot->socket, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
        fail("cannot connect to port %u: %m", port);
    }
    set_no_delay(slot->socket);
    struct epoll_event interest = {.events = EPOLLOUT, .data.ptr = slot};
    epoll_ctl(epoll, EPOLL_CTL_ADD, slot->socket, &interest);
}

// Takes a slot one step on. Returns whether its exchange is complete.
static bool advance_slot(int epoll, struct slot *slot) {
    char byte = 'E';
    if (!slot->sent) {
        if (send(slot->socket, &byte, 1, MSG_NOSIGNAL) != 1) fail("a new connection was refused or reset: %m");
        slot->sent = true;
        struct epoll_event interest = {.events = EPOLLIN, .data.ptr = slot};
        epoll_ctl(epoll, EPOLL_CTL_MOD, slot->socket, &interest);
        return false;
    }
    ssize_t got = recv(slot->socket, &byte, 1, 0);
    if (got < 0 && errno == EAGAIN) return false;
    if (got != 1) fail("a new connection ended without its answer: %s", got == 0 ? "end of stream" : strerror(errno));
    close(slot->socket);
    return true;
}

static int connect_loop(uint16_t port, int concurrency, double seconds) {
    struct slot slots[MAX_STREAMS];
    struct epoll_event events[MAX_EVENTS];
    struct samples samples = new_samples();
    size_t count = 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC), running = concurrency;
    if (concurrency < 1 || concurrency > MAX_STREAMS) fail("concurrency: 1 to %d", MAX_STREAMS);
    double start = now_seconds(), now = start;
    for (int index = 0; index < concurrency; index++) open_slot(epoll, &slots[index], port);
    while (running > 0) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, STUCK_SECONDS * 1000);
        if (ready == 0) fail("no connection moved for %d s", STUCK_SECONDS);
        for (int index = 0; index < ready; index++) {
            struct slot *slot = events[index].data.ptr;
            if (!advance_slot(epoll, slot)) continue;
            now = now_seconds();
            add_sample(&samples, now - slot->began);
            count++;
            if (now < start + seconds) open_slot(epoll, slot, port);
            else running--;
        }
    }
    print_latencies(&samples, count, now - start);
    return 0;
}

// ---------------------------------------------------------------------------------------------------------- main

static int usage(void) {
    fputs("usage: load serve PORT\n"
          "       load pump PORT up|down STREAMS SECONDS\n"
          "       load pingpong PORT SECONDS\n"
          "       load connect PORT CONCURRENCY SECONDS\n",
          stderr);
    return 64;
}

int main(int count, char **arguments) {
    if (count < 3) return usage();
    const char *mode = arguments[1];
    uint16_t port = (uint16_t)atoi(arguments[2]);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (strcmp(mode, "serve") == 0 && count == 3) serve(port);
    if (strcmp(mode, "pump") == 0 && count == 6) return pump(port, arguments[3], atoi(arguments[4]), atof(arguments[5]));
    if (strcmp(mode, "pingpong") == 0 && count == 4) return pingpong(port, atof(arguments[3]));
    if (strcmp(mode, "connect") == 0 && count == 5) return connect_loop(port, atoi(arguments[3]), atof(arguments[4]));
    return usage();
}
