#include "line.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* A contact bounces for some milliseconds when it closes. */
#define DEBOUNCE_US 20000

/* Whether current flows: to unlock a fail-secure strike, to hold a fail-safe magnet. */
static bool energised(const struct line_options *options, bool unlocked) {
  return options->fail_safe ? !unlocked : unlocked;
}

static int request(int chip, int offset, unsigned long long flags, const struct gpio_v2_line_attribute *attribute) {
  struct gpio_v2_line_request wanted;
  memset(&wanted, 0, sizeof wanted);
  wanted.offsets[0] = (__u32)offset;
  wanted.num_lines = 1;
  snprintf(wanted.consumer, sizeof wanted.consumer, "faced");
  wanted.config.flags = flags;
  wanted.config.num_attrs = 1;
  wanted.config.attrs[0].attr = *attribute;
  wanted.config.attrs[0].mask = 1;
  if (ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &wanted) < 0) return -errno;
  /* The kernel makes the descriptor close-on-exec itself. */
  return wanted.fd;
}

static int open_output(int chip, const struct line_options *options) {
  struct gpio_v2_line_attribute value;
  memset(&value, 0, sizeof value);
  value.id = GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES;
  value.values = energised(options, false) ? 1 : 0;
  unsigned long long flags = GPIO_V2_LINE_FLAG_OUTPUT;
  if (options->active_low) flags |= GPIO_V2_LINE_FLAG_ACTIVE_LOW;
  return request(chip, options->output, flags, &value);
}

static int open_input(int chip, const struct line_options *options, int input) {
  struct gpio_v2_line_attribute debounce;
  memset(&debounce, 0, sizeof debounce);
  debounce.id = GPIO_V2_LINE_ATTR_ID_DEBOUNCE;
  debounce.debounce_period_us = DEBOUNCE_US;
  unsigned long long flags = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING;
  bool active_low = options->input_active_low[input];
  /* A button closes when it is pressed; a door's contact is closed while the door is shut. So a wire that was cut reads
   * as a button that nobody presses, and as a door that stands open. */
  bool pulled_up = input == INPUT_DOOR ? !active_low : active_low;
  if (active_low) flags |= GPIO_V2_LINE_FLAG_ACTIVE_LOW;
  flags |= pulled_up ? GPIO_V2_LINE_FLAG_BIAS_PULL_UP : GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN;
  return request(chip, options->input[input], flags, &debounce);
}

static int open_chip(struct line *line, const char **what) {
  const struct line_options *options = &line->options;
  *what = "chip";
  int chip = open(options->chip, O_RDWR | O_CLOEXEC);
  if (chip < 0) return -errno;
  *what = "lock";
  int result = line->output_fd = open_output(chip, options);
  for (int input = 0; input < INPUTS && result >= 0; input++) {
    if (options->input[input] < 0) continue;
    *what = input == INPUT_DOOR ? "door" : "exit";
    result = line->input_fd[input] = open_input(chip, options, input);
    if (result >= 0 && fcntl(result, F_SETFL, O_NONBLOCK) < 0) result = -errno;
  }
  close(chip);
  return result < 0 ? result : 0;
}

static int record(struct line *line, bool unlocked) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  bool high = energised(&line->options, unlocked) != line->options.active_low;
  char text[96];
  int length = snprintf(text, sizeof text, "%lld %s %s\n", (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000,
                        unlocked ? "unlocked" : "locked", high ? "high" : "low");
  return write(line->output_fd, text, (size_t)length) == length ? 0 : -errno;
}

static int open_recorder(struct line *line, const char **what) {
  *what = "recorder";
  line->output_fd = open(line->options.recorder, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (line->output_fd < 0) return -errno;
  if (line->options.recorder_feed != NULL) {
    *what = "feed";
    /* Opened for writing as well, so that it never ends. */
    line->input_fd[INPUT_DOOR] = open(line->options.recorder_feed, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (line->input_fd[INPUT_DOOR] < 0) return -errno;
  }
  return record(line, false);
}

int line_open(struct line *line, const struct line_options *options, const char **what) {
  line->options = *options;
  line->output_fd = -1;
  for (int input = 0; input < INPUTS; input++) line->input_fd[input] = -1;
  return options->recorder != NULL ? open_recorder(line, what) : open_chip(line, what);
}

int line_set(struct line *line, bool unlocked) {
  if (line->options.recorder != NULL) return record(line, unlocked);
  struct gpio_v2_line_values values = {.bits = energised(&line->options, unlocked) ? 1 : 0, .mask = 1};
  return ioctl(line->output_fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values) < 0 ? -errno : 0;
}

int line_read_input(struct line *line, int input) {
  if (line->options.recorder != NULL) return 0;
  struct gpio_v2_line_values values = {.bits = 0, .mask = 1};
  if (ioctl(line->input_fd[input], GPIO_V2_LINE_GET_VALUES_IOCTL, &values) < 0) return -errno;
  return (values.bits & 1) != 0;
}

static int drain_feed(int fd, void (*report)(int input, bool active)) {
  char text[256];
  ssize_t length = read(fd, text, sizeof text - 1);
  if (length < 0) return errno == EAGAIN ? 0 : -errno;
  text[length] = '\0';
  char *rest = text;
  for (char *word = strtok_r(text, "\n", &rest); word != NULL; word = strtok_r(NULL, "\n", &rest)) {
    if (strcmp(word, "door open") == 0) report(INPUT_DOOR, true);
    if (strcmp(word, "door closed") == 0) report(INPUT_DOOR, false);
    if (strcmp(word, "exit pressed") == 0) report(INPUT_EXIT, true);
    if (strcmp(word, "exit released") == 0) report(INPUT_EXIT, false);
  }
  return 0;
}

int line_drain_input(struct line *line, int input, void (*report)(int input, bool active)) {
  if (line->options.recorder != NULL) return drain_feed(line->input_fd[input], report);
  struct gpio_v2_line_event events[16];
  ssize_t length = read(line->input_fd[input], events, sizeof events);
  if (length < 0) return errno == EAGAIN ? 0 : -errno;
  size_t count = (size_t)length / sizeof events[0];
  for (size_t at = 0; at < count; at++) report(input, events[at].id == GPIO_V2_LINE_EVENT_RISING_EDGE);
  return 0;
}
