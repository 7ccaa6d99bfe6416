#!/usr/bin/env bash
# From a fresh clone to a running faced: sets up what is missing, then watches the camera. Without a camera it shows
# the demo, which has a state directory of its own. Arguments go to `faced run`.
set -euo pipefail
root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")

bash "$root/deploy/setup.sh"

arguments=("$@")
chosen() {
  local argument
  for argument in "${arguments[@]}"; do
    case $argument in --source | --source=* | --config | --config=*) return 0 ;; esac
  done
  # A configuration that is already there names its cameras itself.
  [ -n "${FACED_CONFIG:-}" ] || [ -f "${FACED_STATE_DIR:-$root/.faced}/faced.yaml" ] || [ -f /etc/faced/faced.yaml ]
}

if chosen; then
  :
elif [ -e /dev/video0 ]; then
  printf '\n==> Watching /dev/video0 (Ctrl-C ends)\n'
else
  printf '\n==> No camera at /dev/video0: showing the demo (Ctrl-C ends)\n'
  arguments=(--source demo "${arguments[@]}")
fi
exec "$root/bin/faced" run "${arguments[@]}"
