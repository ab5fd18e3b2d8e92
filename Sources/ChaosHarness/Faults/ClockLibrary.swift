/// The library of `ClockRate`, in C: it takes the place of functions of the C library, which only C can do by their names.
enum ClockLibrary {
    static let source = #"""
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <poll.h>
        #include <pthread.h>
        #include <signal.h>
        #include <stdint.h>
        #include <stdlib.h>
        #include <sys/epoll.h>
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <sys/timerfd.h>
        #include <time.h>
        #include <unistd.h>

        // Times in nanoseconds.
        typedef int64_t ns;
        static double rate = 1;
        // What each clock showed at the start, by its number.
        static ns origin[16];
        // The clock of each timer, by its descriptor.
        static unsigned char timers[65536];

        static ns whole(struct timespec t) { return t.tv_sec * (ns)1000000000 + t.tv_nsec; }
        static struct timespec parts(ns t) {
            if (t < 0) t = 0;
            return (struct timespec){t / 1000000000, t % 1000000000};
        }
        static ns genuine(clockid_t clock) {
            struct timespec t;
            return syscall(SYS_clock_gettime, clock, &t) ? 0 : whole(t);
        }
        static __attribute__((constructor)) void begin(void) {
            const char *text = getenv("GOTUNNEL_CHAOS_CLOCK_RATE");
            for (int clock = 0; clock < 16; clock++) origin[clock] = genuine(clock);
            if (text && atof(text) > 0) rate = atof(text);
        }
        // Not those of CPU time, which are 2 and 3 or negative.
        static int counts(clockid_t clock) { return clock >= 0 && clock < 12 && clock != 2 && clock != 3 && origin[clock]; }
        // From the kernel's time to the program's, and back.
        static ns shown(clockid_t clock, ns real) { return origin[clock] + (ns)((double)(real - origin[clock]) * rate); }
        static ns hidden(clockid_t clock, ns fake) { return origin[clock] + (ns)((double)(fake - origin[clock]) / rate); }
        // How long the kernel is to wait; 0 is no time limit to it, or none at all.
        static ns span(ns t) { return t > 0 && t / rate < 1 ? 1 : (ns)(t / rate); }
        static int milliseconds(int t) { return t <= 0 ? t : (int)(t / rate + 0.999); }

        int clock_gettime(clockid_t clock, struct timespec *t) {
            if (syscall(SYS_clock_gettime, clock, t)) return -1;
            if (counts(clock)) *t = parts(shown(clock, whole(*t)));
            return 0;
        }
        int gettimeofday(struct timeval *t, void *zone) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            *t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
            return 0;
        }
        time_t time(time_t *t) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (t) *t = now.tv_sec;
            return now.tv_sec;
        }
        int timerfd_create(int clock, int flags) {
            int file = syscall(SYS_timerfd_create, clock, flags);
            if (file >= 0 && file < 65536) timers[file] = clock;
            return file;
        }
        int timerfd_settime(int file, int flags, const struct itimerspec *new, struct itimerspec *old) {
            struct itimerspec t = *new;
            clockid_t clock = file >= 0 && file < 65536 ? timers[file] : CLOCK_MONOTONIC;
            ns value = whole(t.it_value);
            if (value) t.it_value = parts(flags & TFD_TIMER_ABSTIME && counts(clock) ? hidden(clock, value) : span(value));
            if (value && !whole(t.it_value)) t.it_value.tv_nsec = 1;
            t.it_interval = parts(span(whole(t.it_interval)));
            return syscall(SYS_timerfd_settime, file, flags, &t, old);
        }
        int epoll_wait(int file, struct epoll_event *events, int count, int wait) {
            return syscall(SYS_epoll_pwait, file, events, count, milliseconds(wait), NULL, 8);
        }
        int poll(struct pollfd *files, nfds_t count, int wait) {
            struct timespec t = parts((ns)milliseconds(wait) * 1000000);
            return syscall(SYS_ppoll, files, count, wait < 0 ? NULL : &t, NULL, 8);
        }
        int ppoll(struct pollfd *files, nfds_t count, const struct timespec *limit, const sigset_t *mask) {
            struct timespec t = {0, 0};
            if (limit) t = parts(span(whole(*limit)));
            return syscall(SYS_ppoll, files, count, limit ? &t : NULL, mask, 8);
        }
        int epoll_pwait(int file, struct epoll_event *events, int count, int wait, const sigset_t *mask) {
            return syscall(SYS_epoll_pwait, file, events, count, milliseconds(wait), mask, 8);
        }
        int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *lock, clockid_t clock, const struct timespec *t) {
            static int (*own)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
            if (!own) own = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
            struct timespec until = parts(hidden(clock, whole(*t)));
            return own(condition, lock, clock, &until);
        }
        int clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *rest) {
            ns end = whole(*t);
            struct timespec wait = parts(flags & TIMER_ABSTIME ? (counts(clock) ? hidden(clock, end) : end) : span(end));
            return syscall(SYS_clock_nanosleep, clock, flags, &wait, rest) ? errno : 0;
        }
        int nanosleep(const struct timespec *t, struct timespec *rest) {
            int failure = clock_nanosleep(CLOCK_MONOTONIC, 0, t, rest);
            return failure ? (errno = failure, -1) : 0;
        }
        int usleep(useconds_t t) {
            struct timespec wait = parts((ns)t * 1000);
            return nanosleep(&wait, NULL);
        }
        unsigned sleep(unsigned t) {
            struct timespec wait = {t, 0}, rest = {0, 0};
            return nanosleep(&wait, &rest) ? rest.tv_sec : 0;
        }
        int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *t) {
            // The clock is one that the condition knows and nobody else; only one of them counts from 1970.
            ns end = whole(*t), real = shown(CLOCK_REALTIME, genuine(CLOCK_REALTIME));
            clockid_t clock = end > real / 2 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
            return pthread_cond_clockwait(condition, lock, clock, t);
        }

        """#
}
