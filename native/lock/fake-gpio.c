/* For tests, by LD_PRELOAD: the path of FAKE_GPIO_CHIP behaves like a GPIO chip of the kernel's second line interface.
 * What is asked of it is written to FAKE_GPIO_LOG, a line each; edges come from the FIFO FAKE_GPIO_EDGES ("LINE
 * rising"; "LINE gone": its chip was unplugged).
 * FAKE_GPIO_BUSY names a line that somebody else has; FAKE_GPIO_STUCK makes setting a value fail. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_FDS 1024

static int is_chip[MOST_FDS];
static int line_of[MOST_FDS]; /* line + 1 */
static int is_output[MOST_FDS];
static int feeder[MOST_FDS]; /* by line: where its edges are written */

static void note(const char *format, ...) {
  const char *path = getenv("FAKE_GPIO_LOG");
  if (path == NULL) return;
  int fd = openat(AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT, 0600);
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  ssize_t written = write(fd, text, (size_t)length);
  (void)written;
  close(fd);
}

static void *feed(void *path) {
  FILE *file = fopen(path, "r+");
  int line;
  char edge[16];
  while (file != NULL && fscanf(file, "%d %15s", &line, edge) == 2) {
    if (line < 0 || line >= MOST_FDS || feeder[line] == 0) continue;
    if (strcmp(edge, "gone") == 0) {
      close(feeder[line]);
      continue;
    }
    struct gpio_v2_line_event event;
    memset(&event, 0, sizeof event);
    event.id = strcmp(edge, "rising") == 0 ? GPIO_V2_LINE_EVENT_RISING_EDGE : GPIO_V2_LINE_EVENT_FALLING_EDGE;
    event.offset = (__u32)line;
    ssize_t written = write(feeder[line], &event, sizeof event);
    (void)written;
  }
  return NULL;
}

int open(const char *path, int flags, ...) {
  static int (*real)(const char *, int, ...);
  if (real == NULL) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  va_list arguments;
  va_start(arguments, flags);
  int mode = va_arg(arguments, int);
  va_end(arguments);
  const char *chip = getenv("FAKE_GPIO_CHIP");
  if (chip == NULL || strcmp(path, chip) != 0) return real(path, flags, mode);
  int fd = real("/dev/null", O_RDWR | O_CLOEXEC);
  is_chip[fd] = 1;
  return fd;
}

static int all_zero(const void *bytes, size_t length) {
  for (size_t at = 0; at < length; at++)
    if (((const char *)bytes)[at] != 0) return 0;
  return 1;
}

/* What the kernel refuses with EINVAL (linux/gpio.h: padding is zero filled; edges and debounce are an input's, one
 * direction, one bias), for requests of one line with one attribute. */
static int makes_sense(const struct gpio_v2_line_request *wanted) {
  const struct gpio_v2_line_config *config = &wanted->config;
  const struct gpio_v2_line_config_attribute *attribute = &config->attrs[0];
  __u64 flags = config->flags;
  __u64 direction = flags & (GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_OUTPUT);
  __u64 bias = flags & (GPIO_V2_LINE_FLAG_BIAS_PULL_UP | GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN | GPIO_V2_LINE_FLAG_BIAS_DISABLED);
  __u64 edges = flags & (GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING);
  if (wanted->num_lines != 1 || config->num_attrs != 1 || attribute->mask != 1) return 0;
  if (!all_zero(wanted->padding, sizeof wanted->padding) || !all_zero(config->padding, sizeof config->padding)) return 0;
  if (attribute->attr.padding != 0 || memchr(wanted->consumer, 0, sizeof wanted->consumer) == NULL) return 0;
  if ((flags & ~(direction | bias | edges | GPIO_V2_LINE_FLAG_ACTIVE_LOW)) != 0) return 0;
  if ((direction & (direction - 1)) != 0 || (bias & (bias - 1)) != 0) return 0;
  int is_input = direction == GPIO_V2_LINE_FLAG_INPUT;
  if (edges != 0 && !is_input) return 0;
  return attribute->attr.id == (is_input ? GPIO_V2_LINE_ATTR_ID_DEBOUNCE : GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES);
}

static int request_line(struct gpio_v2_line_request *wanted) {
  int line = (int)wanted->offsets[0];
  if (!makes_sense(wanted)) {
    errno = EINVAL;
    return -1;
  }
  const char *busy = getenv("FAKE_GPIO_BUSY");
  if (busy != NULL && atoi(busy) == line) {
    errno = EBUSY;
    return -1;
  }
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return -1;
  wanted->fd = ends[0];
  line_of[ends[0]] = line + 1;
  is_output[ends[0]] = (wanted->config.flags & GPIO_V2_LINE_FLAG_OUTPUT) != 0;
  feeder[line] = ends[1];
  const struct gpio_v2_line_attribute *attribute = &wanted->config.attrs[0].attr;
  if (attribute->id == GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES)
    note("request %d flags=0x%llx value=%llu\n", line, wanted->config.flags, attribute->values);
  else
    note("request %d flags=0x%llx debounce=%u\n", line, wanted->config.flags, attribute->debounce_period_us);
  static int started;
  const char *edges = getenv("FAKE_GPIO_EDGES");
  pthread_t thread;
  if (edges != NULL && !started++) pthread_create(&thread, NULL, feed, (void *)edges);
  return 0;
}

int ioctl(int fd, unsigned long what, ...) {
  static int (*real)(int, unsigned long, ...);
  if (real == NULL) real = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
  va_list arguments;
  va_start(arguments, what);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (fd < 0 || fd >= MOST_FDS) return real(fd, what, argument);
  if (is_chip[fd] && what == GPIO_V2_GET_LINE_IOCTL) return request_line(argument);
  struct gpio_v2_line_values *values = argument;
  if (line_of[fd] != 0 && what == GPIO_V2_LINE_SET_VALUES_IOCTL) {
    if (!is_output[fd] || (values->mask & 1) == 0) {
      errno = is_output[fd] ? EINVAL : EPERM;
      return -1;
    }
    const char *stuck = getenv("FAKE_GPIO_STUCK");
    if (stuck != NULL && access(stuck, F_OK) == 0) {
      errno = EIO;
      return -1;
    }
    note("set %d mask=%llu bits=%llu\n", line_of[fd] - 1, values->mask, values->bits);
    return 0;
  }
  if (line_of[fd] != 0 && what == GPIO_V2_LINE_GET_VALUES_IOCTL) {
    values->bits = 0;
    return 0;
  }
  return real(fd, what, argument);
}
