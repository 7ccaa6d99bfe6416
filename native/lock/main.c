/* Holds the wire of one lock, and nothing else: apart from faced, so that a pulse ends when faced is killed, hangs or
 * is stopped in the middle of it. It reads orders from standard input and reports on standard output, a line each:
 *
 *   unlock ID MILLISECONDS NOT-AFTER   lock ID   ping ID
 *   ready   done ID   refused ID REASON   line unlocked   line locked WHY
 *   input door open|closed   input exit pressed|released   lost door|exit ERRNO   fault ERRNO   fatal WHAT ERRNO
 *
 * After a fault locking is tried until it works, which "line locked" tells; an input that was lost stays lost.
 * NOT-AFTER is CLOCK_MONOTONIC in milliseconds: an order that waited in the pipe (this program was stopped, the machine
 * slept) is refused, not carried out late. No order holds a door open: a pulse, however often it is renewed, ends after --longest milliseconds, and the next one
 * begins only after --rest. When standard input ends (faced is gone) a running pulse ends at its time. The program then
 * ends as well, but that of a fail-safe door stays and keeps the door locked until another one takes over the wire.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "line.h"

#define MOST_MS 600000
#define RETRY_MS 200
#define TAKEOVER_MS 3000
#define PATIENCE_MS 1500

static struct line wire;
static long longest_ms = 10000;
static long rest_ms = 1000;

static bool unlocked;
static long long unlocked_since;
static long long pulse_ends;  /* meaningful while unlocked */
static long long rests_until; /* no new pulse before */
static bool owes_lock;        /* the wire could not be brought back to rest: try again */

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Never waits: when faced hangs its pipe fills up, and a report that does not fit is lost rather than a pulse prolonged. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text - 1, format, arguments);
  va_end(arguments);
  if (length < 0) return;
  if ((size_t)length > sizeof text - 2) length = sizeof text - 2;
  text[length++] = '\n';
  ssize_t written = write(STDOUT_FILENO, text, (size_t)length);
  (void)written;
}

static const char *name_of(int error) {
  const char *name = strerrorname_np(error);
  return name != NULL ? name : "EIO";
}

__attribute__((noreturn)) static void fatal(const char *what, int error) {
  say("fatal %s %s", what, name_of(error));
  exit(1);
}

static void go_locked(const char *why) {
  bool owed = owes_lock;
  int error = line_set(&wire, false);
  owes_lock = error < 0;
  if (owes_lock) {
    say("fault %s", name_of(-error));
    return;
  }
  if (unlocked) rests_until = now_ms() + rest_ms;
  if (unlocked || owed) say("line locked %s", why);
  unlocked = false;
}

static void order_unlock(const char *id, long long pulse_ms) {
  long long now = now_ms();
  if (owes_lock) {
    say("refused %s fault", id);
    return;
  }
  if (!unlocked) {
    if (now < rests_until) {
      say("refused %s resting", id);
      return;
    }
    int error = line_set(&wire, true);
    if (error < 0) {
      say("refused %s %s", id, name_of(-error));
      go_locked("fault");
      return;
    }
    unlocked = true;
    unlocked_since = now;
    pulse_ends = now;
    say("line unlocked");
  }
  /* Renewed, but never past the longest pulse, counted from its beginning. */
  long long ends = now + pulse_ms;
  long long latest = unlocked_since + longest_ms;
  if (ends > latest) ends = latest;
  if (ends > pulse_ends) pulse_ends = ends;
  say("done %s", id);
}

static bool read_number(const char *text, long long *value) {
  if (text == NULL) return false;
  char *end = NULL;
  *value = strtoll(text, &end, 10);
  return end != text && *end == '\0';
}

static void obey(char *order) {
  char *rest = order;
  const char *verb = strtok_r(NULL, " ", &rest);
  const char *id = strtok_r(NULL, " ", &rest);
  const char *pulse_text = strtok_r(NULL, " ", &rest);
  const char *limit_text = strtok_r(NULL, " ", &rest);
  if (verb == NULL || id == NULL || strlen(id) > 64) return;
  if (strcmp(verb, "ping") == 0) {
    say("done %s", id);
  } else if (strcmp(verb, "lock") == 0) {
    go_locked("order");
    say(owes_lock ? "refused %s fault" : "done %s", id);
  } else if (strcmp(verb, "unlock") == 0) {
    long long pulse, limit;
    if (!read_number(pulse_text, &pulse) || !read_number(limit_text, &limit) || pulse < 1 || pulse > MOST_MS)
      say("refused %s time", id);
    else if (now_ms() > limit)
      say("refused %s late", id);
    else
      order_unlock(id, pulse);
  } else {
    say("refused %s verb", id);
  }
}

/* False when the other end is closed. Lines longer than the buffer are dropped whole. */
static bool take_orders(void) {
  static char buffer[1024];
  static size_t filled;
  static bool skipping;
  ssize_t length = read(STDIN_FILENO, buffer + filled, sizeof buffer - filled);
  if (length < 0) return errno == EAGAIN || errno == EINTR;
  if (length == 0) return false;
  filled += (size_t)length;
  char *start = buffer;
  for (char *end; (end = memchr(start, '\n', filled - (size_t)(start - buffer))) != NULL; start = end + 1) {
    *end = '\0';
    if (!skipping) obey(start);
    skipping = false;
  }
  filled -= (size_t)(start - buffer);
  memmove(buffer, start, filled);
  if (filled == sizeof buffer) {
    filled = 0;
    skipping = true;
  }
  return true;
}

static void report_input(int input, bool active) {
  if (input == INPUT_DOOR)
    say("input door %s", active ? "open" : "closed");
  else
    say("input exit %s", active ? "pressed" : "released");
}

/* One holder for a lock: whoever comes later ends the one before and waits until it has let go of the wire. */
static void take_over(const char *path) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) fatal("owner", errno);
  long long begun = now_ms();
  while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
    long long waited = now_ms() - begun;
    if (errno != EWOULDBLOCK || waited > TAKEOVER_MS) fatal("owner", EBUSY);
    char text[32] = "";
    /* The lock on the file proves that the process which wrote its number there is alive. One that hangs hears nothing. */
    int end = waited > PATIENCE_MS ? SIGKILL : SIGTERM;
    if (pread(fd, text, sizeof text - 1, 0) > 0 && atol(text) > 1) kill((pid_t)atol(text), end);
    poll(NULL, 0, 20);
  }
  char text[32];
  int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)length, 0) != length) fatal("owner", errno);
  /* The descriptor stays open, and the lock with it, as long as this process lives. */
}

static int until_next(void) {
  if (owes_lock) return RETRY_MS;
  if (!unlocked) return -1;
  long long left = pulse_ends - now_ms();
  return left < 0 ? 0 : (int)left;
}

static int serve(int signals) {
  bool connected = true;
  for (;;) {
    struct pollfd waiting[4] = {
        {.fd = connected ? STDIN_FILENO : -1, .events = POLLIN},
        {.fd = signals, .events = POLLIN},
        {.fd = wire.input_fd[INPUT_DOOR], .events = POLLIN},
        {.fd = wire.input_fd[INPUT_EXIT], .events = POLLIN},
    };
    if (poll(waiting, 4, until_next()) < 0 && errno != EINTR) fatal("poll", errno);
    /* Time first: no flood of orders may keep a pulse from ending. */
    if (owes_lock) go_locked("retry");
    if (unlocked && now_ms() >= pulse_ends) go_locked(pulse_ends - unlocked_since >= longest_ms ? "longest" : "pulse");
    if (waiting[1].revents != 0) {
      go_locked("signal");
      return owes_lock ? 1 : 0;
    }
    for (int input = 0; input < INPUTS; input++) {
      if (waiting[2 + input].revents == 0) continue;
      int error = line_drain_input(&wire, input, report_input);
      if (error < 0 || (waiting[2 + input].revents & (POLLERR | POLLHUP)) != 0) {
        say("lost %s %s", input == INPUT_DOOR ? "door" : "exit", error < 0 ? name_of(-error) : "EIO");
        wire.input_fd[input] = -1;
      }
    }
    if (waiting[0].revents != 0) connected = take_orders();
    if (!connected && !unlocked && !owes_lock && !wire.options.fail_safe) return 0;
  }
}

static int tell_clock(void) {
  struct timex state;
  memset(&state, 0, sizeof state);
  /* adjtimex(2): reading needs no right, and STA_UNSYNC is what every time daemon clears. */
  int result = adjtimex(&state);
  puts(result != TIME_ERROR && (state.status & STA_UNSYNC) == 0 ? "synchronised" : "unsynchronised");
  return 0;
}

static long number(const char *text, long least, long most) {
  char *end = NULL;
  long value = strtol(text, &end, 10);
  if (end == text || *end != '\0' || value < least || value > most) {
    fprintf(stderr, "faced-lock: %s must be %ld to %ld\n", text, least, most);
    exit(2);
  }
  return value;
}

int main(int argc, char **argv) {
  static const struct option known[] = {
      {"chip", required_argument, NULL, 'c'},       {"line", required_argument, NULL, 'l'},
      {"active-low", no_argument, NULL, 'a'},       {"fail-safe", no_argument, NULL, 's'},
      {"longest", required_argument, NULL, 'm'},    {"rest", required_argument, NULL, 'r'},
      {"door", required_argument, NULL, 'd'},       {"door-active-low", no_argument, NULL, 'D'},
      {"exit", required_argument, NULL, 'e'},       {"exit-active-low", no_argument, NULL, 'E'},
      {"recorder", required_argument, NULL, 'R'},   {"recorder-feed", required_argument, NULL, 'F'},
      {"owner", required_argument, NULL, 'o'},      {"clock", no_argument, NULL, 't'},
      {NULL, 0, NULL, 0},
  };
  struct line_options options = {.output = -1, .input = {-1, -1}};
  const char *owner = NULL;
  for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
    switch (option) {
      case 'c': options.chip = optarg; break;
      case 'l': options.output = (int)number(optarg, 0, INT_MAX); break;
      case 'a': options.active_low = true; break;
      case 's': options.fail_safe = true; break;
      case 'm': longest_ms = number(optarg, 1, MOST_MS); break;
      case 'r': rest_ms = number(optarg, 0, MOST_MS); break;
      case 'd': options.input[INPUT_DOOR] = (int)number(optarg, 0, INT_MAX); break;
      case 'D': options.input_active_low[INPUT_DOOR] = true; break;
      case 'e': options.input[INPUT_EXIT] = (int)number(optarg, 0, INT_MAX); break;
      case 'E': options.input_active_low[INPUT_EXIT] = true; break;
      case 'R': options.recorder = optarg; break;
      case 'F': options.recorder_feed = optarg; break;
      case 'o': owner = optarg; break;
      case 't': return tell_clock();
      default: return 2;
    }
  }
  if ((options.chip == NULL) == (options.recorder == NULL) || (options.chip != NULL && options.output < 0)) {
    fprintf(stderr, "faced-lock: give --chip FILE --line N, or --recorder FILE\n");
    return 2;
  }

  /* Signals are read like input, before the wire is touched, so that none can end the program in the middle. */
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGHUP);
  sigprocmask(SIG_BLOCK, &ends, NULL);
  signal(SIGPIPE, SIG_IGN);
  int signals = signalfd(-1, &ends, SFD_CLOEXEC);
  if (signals < 0) fatal("signals", errno);
  if (fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) < 0 || fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK) < 0)
    fatal("pipes", errno);

  if (owner != NULL) take_over(owner);
  const char *what = "";
  int error = line_open(&wire, &options, &what);
  if (error < 0) fatal(what, -error);
  say("ready");
  for (int input = 0; input < INPUTS; input++) {
    if (wire.input_fd[input] < 0 || options.recorder != NULL) continue;
    int active = line_read_input(&wire, input);
    if (active >= 0) report_input(input, active == 1);
  }
  return serve(signals);
}
