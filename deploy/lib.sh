# shellcheck shell=bash
# What the scripts of this folder share. Sourced, never run.

step() { printf '\n==> %s\n' "$*"; }
skip() { printf '==> %s: nothing to do\n' "$*"; }
die() {
  printf '\nfaced: %s\n' "$*" >&2
  exit 1
}

# The hash of every source file below the given paths, names and content; what was built or installed there is left out.
hash_of() {
  find "$@" \( -name build -o -name node_modules \) -prune -o -type f -print0 |
    LC_ALL=C sort -z | xargs -0 -r sha256sum | sha256sum | cut -d' ' -f1
}

# stamped FILE KEY: whether the step that writes this stamp was last done for this key.
stamped() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root and there is no sudo. As root, run: $*"
  fi
}

# Whether a Raspberry Pi's config.txt lets a GPIO line go back to rest when the program that held it is gone.
has_strict_gpiod() { grep -qE '^[[:space:]]*dtparam=([^#]*,)?strict_gpiod(=on)?([,[:space:]]|$)' "$1"; }

# with_strict_gpiod CONFIG: its text with the setting added; whatever section it ends in, this is for all models.
with_strict_gpiod() {
  cat "$1"
  printf '\n# Added by faced: a lock line must go back to rest when nobody holds it any more.\n[all]\ndtparam=strict_gpiod\n'
}
