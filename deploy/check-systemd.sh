#!/usr/bin/env bash
# A real systemd, booted in a clean Debian inside namespaces, with the package installed and a camera that never ends (the
# demo's film): start and readiness, sandbox, credentials, reload, watchdog, restarts, stop; that no event is lost
# meanwhile; and faced-tensorrt with OpenCV in TensorRT's place. A verdict for each, with its time. Minutes.
#   check-systemd.sh [--if-possible] [--keep] [DEB]
#     DEB            a package for amd64, of bookworm or trixie; without it deploy/package.sh builds bookworm's
#     --if-possible  says so and ends well where this machine cannot do it
#     --keep         leaves what was booted in build/cross/check-systemd, to be looked at
# Needs root, a checkout that is set up with --test, and debootstrap.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. deploy/lib.sh
# shellcheck source-path=SCRIPTDIR source=cross-lib.sh
. deploy/cross-lib.sh
# shellcheck source-path=SCRIPTDIR source=boot-lib.sh
. deploy/boot-lib.sh

deb='' if_possible=no keep=no
for argument in "$@"; do
  case $argument in
    --if-possible) if_possible=yes ;;
    --keep) keep=yes ;;
    *.deb) deb=$argument ;;
    *) die "check-systemd.sh takes --if-possible, --keep and a .deb, not $argument" ;;
  esac
done
missing() {
  [ "$if_possible" = yes ] || die "$1"
  echo "==> systemd is not booted: $1"
  exit 0
}
[ "$(id -u)" -eq 0 ] || missing "it needs root"
[ "$(dpkg --print-architecture)" = amd64 ] || missing "the package for amd64 does not run here"
for program in debootstrap unshare nsenter setpriv; do
  PATH=$PATH:/usr/sbin command -v $program >/dev/null || missing "$program is not installed"
done

if [ -z "$deb" ]; then
  FACED_CROSS_DIR=$CROSS_DIR bash deploy/package.sh amd64/bookworm
  deb=$(find build/packages -name 'faced_*+bookworm_amd64.deb' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)
fi
# With what the package depends on; the broker is the house's, the dnn module stands for TensorRT.
mapfile -t needed < <(dpkg-deb --field "$deb" Depends | tr ',' '\n' | sed -e 's/[|(].*//' -e 's/ //g')
suite=$(dpkg-deb --field "$deb" Version | sed 's/.*+//')
known amd64 "$suite"
extra=(mosquitto mosquitto-clients gstreamer1.0-tools gstreamer1.0-plugins-bad)
[ "$suite" != bookworm ] || extra+=(libopencv-dnn406)
debian_root "$suite" "${needed[@]}" "${extra[@]}"

dir=$CROSS_DIR/check-systemd
rm -rf "$dir"
mkdir -p "$dir"
step "A film and its people"
bin/faced model fetch --demo >/dev/null
models=$(bin/faced model list --json | node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).dir')
node deploy/check/door-clip.mjs "$dir/film"

# The models' own package, for the start on a slow line.
package=$(node -p 'require("./models/mobilefacenet.json").source.npm')
tarball=$CROSS_DIR/models/${package/@/-}.tgz
[ -f "$tarball" ] || { mkdir -p "$CROSS_DIR/models" && npm pack --silent --pack-destination "$CROSS_DIR/models" "$package" >/dev/null; }

failures=0
verdict() { printf '  %-4s %s\n' "$1" "$2"; }
# holds WHAT COMMAND...: a verdict.
holds() {
  local what=$1
  shift
  if "$@"; then verdict ok "$what"; else
    verdict FAIL "$what"
    failures=$((failures + 1))
  fi
}
not() { ! "$@"; }
quiet() { "$@" >/dev/null; }
now_ms() { date +%s%3N; }
# until_true SECONDS COMMAND...: sets TOOK, in seconds.
until_true() {
  local limit=$1 began
  began=$(now_ms)
  shift
  while ! "$@" 2>/dev/null; do
    if [ $(($(now_ms) - began)) -gt $((limit * 1000)) ]; then
      TOOK="more than $limit"
      return 1
    fi
    sleep 0.1
  done
  TOOK=$(seconds $(($(now_ms) - began)))
}
# timed WHAT SECONDS COMMAND...: a verdict with how long it took until the command held.
timed() {
  local what=$1 verdict=ok
  shift
  until_true "$@" || verdict=FAIL failures=$((failures + 1))
  verdict "$verdict" "$what: $TOOK s"
}
seconds() { printf '%d.%01d' $(($1 / 1000)) $(($1 % 1000 / 100)); }
prop() { inside systemctl show --property="$2" --value "$1"; }
is_active() { [ "$(prop "$1" ActiveState)" = active ]; }
main_pid() { prop "$1" MainPID; }
# Both at one moment: while it is started again there is none.
new_main() {
  local state pid
  { read -r pid && read -r state; } < <(inside systemctl show --property=MainPID --property=ActiveState --value "${2:-faced}")
  [ "$state" = active ] && [ "$pid" != 0 ] && [ "$pid" != "$1" ]
}
journal() { inside journalctl --unit="$1" --output=cat --no-pager --since="@$SINCE"; }
since_now() { SINCE=$(date +%s.%6N); }
said() { journal faced | grep -qF "$1"; }
# The journal may be a moment behind.
says() { until_true 5 said "$1"; }
faced() { inside faced "$@" | tee -a "$dir/faced.log"; }
drop_in() {
  mkdir -p "$outside/etc/systemd/system/faced.service.d"
  cat >"$outside/etc/systemd/system/faced.service.d/$1.conf"
  inside systemctl daemon-reload
}
no_drop_in() {
  rm "$outside/etc/systemd/system/faced.service.d/$1.conf"
  inside systemctl daemon-reload
  inside systemctl reset-failed faced 2>/dev/null || true
}
# The vision process, a child of the daemon's.
vision_pid() {
  local main child
  main=$(main_pid faced)
  for child in $(inside cat "/proc/$main/task/$main/children"); do
    if inside grep -qa vision-worker "/proc/$child/cmdline"; then
      echo "$child"
      return
    fi
  done
  return 1
}
new_vision() { local now; now=$(vision_pid) && [ "$now" != "$1" ]; }
counted() { grep -c "^faced/door/$1 " "$outside/srv/heard" || true; }
more_of() { [ "$(counted "$1")" -gt "$2" ]; }

step "Boot"
ended() {
  [ "$failures" -eq 0 ] || { inside journalctl --no-pager >"$dir/journal.log" && echo "the journal: $dir/journal.log"; } || true
  shut_down
  [ "$keep" = yes ] || [ "$failures" -gt 0 ] || rm -rf "$dir"
}
trap ended EXIT
began=$(now_ms)
boot "$CROSS_DIR/debian-$suite/root" "$dir"
outside=/proc/$INIT/root
verdict ok "systemd $(inside systemctl show --property=Version --value) is up after $(seconds $(($(now_ms) - began))) s"
mkdir -p "$outside"/srv/film "$outside"/etc/faced
cp "$dir"/film/*.jpg "$outside/srv/film/"
cp "$deb" "$outside/srv/faced.deb"
frames=$(find "$dir/film" -name '0*.jpg' | wc -l)
cat >"$outside/etc/faced/faced.yaml" <<CONFIG
device: door
isolation: process
mqtt:
  url: mqtt://127.0.0.1:1883
  healthEvery: 5
cameras:
  door:
    source: "gstreamer:multifilesrc location=/srv/film/%04d.jpg stop-index=$((frames - 1)) loop=true caps=image/jpeg,framerate=15/1 ! jpegdec ! identity sync=true"
CONFIG
# What faced publishes, whenever; the broker keeps it for this client.
inside systemd-run --quiet --unit=listener --property=StandardOutput=append:/srv/heard --property=Restart=always \
  mosquitto_sub --host 127.0.0.1 --id listener --disable-clean-session --qos 1 --topic 'faced/#' --verbose

step "Installation, first start over a slow line"
cp "$tarball" "$outside/srv/models.tgz"
cp deploy/check/slow-registry.mjs "$outside/srv/"
since_now
DEBIAN_FRONTEND=noninteractive inside dpkg --unpack /srv/faced.deb >"$dir/dpkg.log" 2>&1 || cat "$dir/dpkg.log"
# The limit of a start is far below what the fetch takes: only what comes keeps it alive.
inside systemd-run --quiet --unit=registry /opt/faced/runtime/node /srv/slow-registry.mjs /srv/models.tgz 30 4873
printf '[Service]\nEnvironment=FACED_NPM_REGISTRY=http://127.0.0.1:4873\nTimeoutStartSec=12\n' | drop_in slow
began=$(now_ms)
DEBIAN_FRONTEND=noninteractive inside dpkg --configure --force-confold faced >>"$dir/dpkg.log" 2>&1 || cat "$dir/dpkg.log"
holds "installed and started by its package after $(seconds $(($(now_ms) - began))) s, of which its models' 30" is_active faced
holds "with TimeoutStartSec=12: what came extended it" test "$(prop faced NRestarts) $(prop faced TimeoutStartUSec)" = "0 12s"
no_drop_in slow
inside systemctl stop registry
state=$outside$(inside readlink --canonicalize /var/lib/faced)
us() { prop faced "$1"; }
holds "Type=notify: READY $(seconds $((($(us ActiveEnterTimestampMonotonic) - $(us ExecMainStartTimestampMonotonic)) / 1000))) s after its process began" \
  test "$(us ActiveEnterTimestampMonotonic)" -gt "$(us ExecMainStartTimestampMonotonic)"
holds "READY means ready: it answers at once" quiet faced people list --json
holds "a user of its own" test "$(inside stat -c %U "/proc/$(main_pid faced)")" = faced
printf '[Service]\nEnvironment=FACED_MODELS_DETECTOR=nobody\n' | drop_in broken
since_now
holds "with a fault it never says READY" not inside systemctl --quiet restart faced
holds "and says what the fault is" says model.unknown
inside systemctl stop faced
no_drop_in broken

step "Sandbox"
mkdir -p "$outside/home/ada"
echo secret | tee "$outside/home/ada/diary" "$outside/root/diary" >"$outside/srv/diary"
chmod 600 "$outside/srv/diary"
chmod 644 "$outside"/{home/ada,root}/diary
chmod 755 "$outside"/root
install -m 755 deploy/check/probe.sh "$outside/srv/probe.sh"
printf '[Service]\nExecStartPre=/srv/probe.sh\n' | drop_in probe
inside systemctl start faced || true
no_drop_in probe
probed=$state/probe
holds "it was looked at from inside" grep -qx 'that is all' "$probed"
while read -r result what; do
  case $result in yes | no) holds "$what: $result" test "$result" = "$(case $what in may*) echo yes ;; *) echo no ;; esac)" ;; esac
done <"$probed"

step "Credentials"
inside systemctl stop faced
rm -rf "${state:?}"/*
(umask 077 && openssl rand -hex 32 >"$outside/etc/faced/gallery.key")
drop_in gallery-key <systemd/gallery-key.conf
holds "starts with the key from LoadCredential" inside systemctl start faced
holds "no key of its own is made" test ! -e "$state/gallery.key"
for name in Ada Bea; do holds "$name is enrolled" quiet faced enroll "$name" "/srv/film/$name.jpg" --json; done
holds "the gallery holds no name in the clear" not grep -qa -e Ada -e Bea "$state/gallery.db"
inside systemctl stop faced
mv "$outside/etc/faced/gallery.key" "$outside/srv/gallery.key"
since_now
holds "a credential that is missing: it does not start" not inside systemctl --quiet start faced
holds "and systemd names the credential's step" says CREDENTIALS
inside systemctl stop faced
no_drop_in gallery-key
since_now
holds "without the drop-in: it does not start" not inside systemctl --quiet start faced
holds "and says that the gallery's key is missing" says gallery.key-unusable
inside systemctl stop faced
drop_in gallery-key <systemd/gallery-key.conf
(umask 077 && openssl rand -hex 32 >"$outside/etc/faced/gallery.key")
since_now
holds "another key: it does not start" not inside systemctl --quiet start faced
holds "and says that the key is another" says gallery.key-wrong
inside systemctl stop faced
mv "$outside/srv/gallery.key" "$outside/etc/faced/gallery.key"
inside systemctl reset-failed faced
holds "with the right one it starts" inside systemctl start faced
holds "and still knows both" test "$(faced people list --json | node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).people.length')" = 2

step "Read-only disks"
inside systemctl stop faced
cache=$(inside readlink --canonicalize /var/cache/faced)
read_only() { inside mount --bind "$1" "$1" && inside mount -o remount,bind,ro "$1"; }
read_only "${state#"$outside"}"
since_now
holds "a state that cannot be written: it does not start" not inside systemctl --quiet start faced
holds "and says so" says gallery.read-only
inside systemctl stop faced
inside umount "${state#"$outside"}"
inside systemctl reset-failed faced
rm "$outside$cache"/models/*.x64.*
read_only "$cache"
since_now
holds "models that cannot be made fit for the processor: it starts" inside systemctl start faced
holds "and says that the stock ones run" says 'the stock one runs'
inside umount "$cache"
holds "with both again it starts" inside systemctl restart faced

step "Reload"
main=$(main_pid faced)
echo 'log: { level: debug }' >>"$outside/etc/faced/faced.yaml"
since_now
inside systemctl reload faced
until_true 10 said 'the configuration was read again' || true
holds "SIGHUP: the configuration is read again after $TOOK s, the process stays" test "$(main_pid faced)" = "$main"
echo 'nonsense: 1' >>"$outside/etc/faced/faced.yaml"
inside systemctl reload faced
until_true 10 said 'the configuration was not taken over' || true
holds "a mistake is refused after $TOOK s, the daemon goes on" test "$(main_pid faced)" = "$main"
sed -i -e '/^nonsense/d' -e '/^log:/d' "$outside/etc/faced/faced.yaml"
timed "events come" 60 more_of recognition 0

step "Settings over HTTP"
# The package's configuration is root's; the service may write its state alone.
cp "$outside/etc/faced/faced.yaml" "$dir/before.yaml"
token=$(faced token create --scope admin --json | node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).token')
# settings METHOD [PATCH]: asks the daemon, and prints for how many days it keeps events.
settings() {
  # shellcheck disable=SC2016 # JavaScript
  inside /opt/faced/runtime/node --input-type=module -e '
    const [token, method, body] = process.argv.slice(1);
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch("http://127.0.0.1:8723/v1/config", { method, headers, body });
    const { config, error } = await answer.json();
    console.log(config?.gallery.keepEventsDays ?? error.code);' "$token" "$@"
}
held() { [ "$(settings GET)" = "$1" ]; }
before=$(settings GET)
holds "a setting is changed" test "$(settings PATCH '{"gallery":{"keepEventsDays":9}}')" = 9
holds "kept in the state, for faced alone" test "$(inside stat -c '%U %a' /var/lib/faced/settings.yaml)" = "faced 600"
holds "the configuration is as it was" cmp "$dir/before.yaml" "$outside/etc/faced/faced.yaml"
since_now
inside systemctl restart faced
timed "it holds after the next start" 30 held 9
holds "and the log names it" says gallery.keepEventsDays
inside rm /var/lib/faced/settings.yaml
inside systemctl restart faced
timed "taken out of there, what was before holds" 30 held "$before"

step "A hung vision worker"
# Events of this time have to wait in the outbox: the broker is away.
inside systemctl stop mosquitto
sleep 15
main=$(main_pid faced) vision=$(vision_pid)
since_now
inside kill -STOP "$vision"
timed "is replaced" 30 new_vision "$vision"
replaced=$TOOK
began=$(now_ms)
until_true 30 said 'model in use' || true
holds "within 10 s: ended after $replaced s, looking again $TOOK s later" \
  node -e 'process.exit(Number(process.argv[1]) + Number(process.argv[2]) <= 10 ? 0 : 1)' "$replaced" "$TOOK"
holds "the daemon goes on" test "$(main_pid faced)" = "$main"
inside systemctl start mosquitto
count=$(counted recognition)
timed "events go out, and new ones come" 60 more_of recognition "$((count + 3))"

step "Killed, frozen, blind"
main=$(main_pid faced)
inside kill -KILL "$main"
timed "kill -9: back" 60 new_main "$main"
main=$(main_pid faced)
since_now
inside kill -STOP "$main"
timed "SIGSTOP: systemd's watchdog starts it again (WatchdogSec=$(grep -oP '^WatchdogSec=\K.*' systemd/faced.service))" 90 new_main "$main"
holds "for that reason" says 'Watchdog timeout'
timed "and it is looking again" 60 quiet vision_pid
# No vision worker ever lives: there is no sign of life to feed the watchdog with.
main=$(main_pid faced)
since_now
blind() {
  local child
  if [ "$(main_pid faced)" = "$main" ] && child=$(vision_pid); then inside kill -STOP "$child" || true; fi
  new_main "$main"
}
timed "every vision worker hangs: systemd starts the whole again" 120 blind
holds "for that reason" says 'Watchdog timeout'
count=$(counted recognition)
timed "events come again" 60 more_of recognition "$count"

step "As a thread, in one process"
# Preloaded into every thread: that of the vision worker hangs, once, when the file is there.
cat >"$outside/srv/hang.cjs" <<'SCRIPT'
setInterval(() => {
  if (!process.argv[1]?.includes('vision-worker')) return;
  try { require('node:fs').renameSync('/run/faced/hang', '/run/faced/hung'); } catch { return; }
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}, 100).unref();
SCRIPT
printf '[Service]\nEnvironment=FACED_ISOLATION=thread NODE_OPTIONS=--require=/srv/hang.cjs\n' | drop_in thread
holds "READY" inside systemctl restart faced
holds "without a vision process" not quiet vision_pid
count=$(counted recognition)
timed "events come" 60 more_of recognition "$count"
inside systemctl stop mosquitto
main=$(main_pid faced)
since_now
inside touch /run/faced/hang
until_true 30 said 'the vision worker ended and is started again' || true
replaced=$TOOK
until_true 30 said 'model in use' || true
holds "hangs: left behind after $replaced s, looking again $TOOK s later" \
  node -e 'process.exit(Number(process.argv[1]) + Number(process.argv[2]) <= 10 ? 0 : 1)' "$replaced" "$TOOK"
holds "the daemon goes on" test "$(main_pid faced)" = "$main"
inside systemctl start mosquitto
count=$(counted recognition)
timed "events go out, and new ones come" 60 more_of recognition "$((count + 3))"
# What hangs in native code cannot be ended: after the second one only a new process helps.
since_now
blind_thread() {
  [ "$(main_pid faced)" != "$main" ] || inside touch /run/faced/hang
  new_main "$main"
}
timed "hangs again: the whole is started again" 60 blind_thread
holds "for that reason" says vision.stuck
inside rm -f /run/faced/hang
main=$(main_pid faced)
inside kill -KILL "$main"
timed "kill -9: back" 60 new_main "$main"
count=$(counted recognition)
timed "events come again" 60 more_of recognition "$count"
no_drop_in thread
holds "as a process again" inside systemctl restart faced

step "The host's part of a Jetson"
if [ "$suite" != bookworm ]; then
  verdict skip "faced-tensorrt: it is built here with the libraries of bookworm"
elif make -C native/tensorrt ENGINE=opencv >"$dir/tensorrt.log" 2>&1; then
  install -m 755 native/tensorrt/build/opencv/faced-tensorrt "$outside/usr/local/bin/"
  install -m 644 "$models/mobilefacenet.onnx" "$outside/var/lib/faced-tensorrt/recogniser.engine"
  cp systemd/faced-tensorrt.service "$outside/etc/systemd/system/"
  inside systemctl daemon-reload
  began=$(now_ms)
  holds "faced-tensorrt starts with OpenCV in TensorRT's place" inside systemctl start faced-tensorrt
  verdict ok "READY after $(seconds $(($(now_ms) - began))) s"
  since_now
  holds "a second one on its socket ends" not inside runuser -u faced-tensorrt -- /usr/local/bin/faced-tensorrt \
    --model /var/lib/faced-tensorrt/recogniser.engine --socket /run/faced-tensorrt/tensorrt.sock
  inside systemctl restart faced
  uses() { tail -n 50 "$outside/srv/heard" | grep '^faced/door/health ' | tail -1 | grep -qF "\"using\":\"$1\""; }
  timed "faced asks it" 30 uses opencv
  inside systemctl stop faced-tensorrt
  timed "while it is away, ONNX Runtime stands in" 60 uses onnxruntime
  count=$(counted recognition)
  timed "events come" 60 more_of recognition "$count"
  inside systemctl start faced-tensorrt
  timed "when it is there again, it is asked again" 90 uses opencv
  main=$(main_pid faced-tensorrt)
  inside kill -KILL "$main"
  timed "kill -9: systemd starts it again" 30 new_main "$main" faced-tensorrt
  main=$(main_pid faced-tensorrt)
  inside kill -STOP "$main"
  timed "SIGSTOP: systemd's watchdog starts it again" 90 new_main "$main" faced-tensorrt
  timed "and faced asks it again" 90 uses opencv
else
  verdict skip "faced-tensorrt: libopencv-dnn-dev is not installed (see $dir/tensorrt.log)"
fi

# The clocks' unit, with programs in the place of NVIDIA's that write down what they are asked.
for program in /usr/sbin/nvpmodel /usr/bin/jetson_clocks; do
  # shellcheck disable=SC2016 # for the program
  printf '#!/bin/sh\necho "${0##*/} $*" >>/run/clocks\n' >"$outside$program"
  chmod 755 "$outside$program"
done
cp systemd/faced-clocks.service "$outside/etc/systemd/system/"
inside systemctl daemon-reload
holds "faced-clocks starts" inside systemctl start faced-clocks
holds "and stops" inside systemctl stop faced-clocks
holds "it asks for the most power, keeps the clocks as they were, and gives them back" test "$(paste -sd, "$outside/run/clocks")" = \
  "nvpmodel -m 0,jetson_clocks --store /run/faced-clocks.conf,jetson_clocks ,jetson_clocks --restore /run/faced-clocks.conf"

# The ribbon camera's unit, with a test picture in the camera's place, as a second camera.
install -D -m 755 deploy/jetson/csi.sh "$outside/usr/local/lib/faced/csi.sh"
cp systemd/faced-csi.service "$outside/etc/systemd/system/"
mkdir -p "$outside/etc/systemd/system/faced-csi.service.d"
printf '[Service]\nExecStart=\nExecStart=/usr/local/lib/faced/csi.sh --test\n' \
  >"$outside/etc/systemd/system/faced-csi.service.d/test.conf"
printf '  ribbon:\n    source: "%s"\n' "$(deploy/jetson/csi.sh --source)" >>"$outside/etc/faced/faced.yaml"
inside systemctl daemon-reload
inside systemctl start faced-csi
inside systemctl restart faced
ribbon() { tail -n 50 "$outside/srv/heard" | sed -n 's/^faced.door.health //p' | tail -1 | node deploy/check/camera-state.mjs ribbon "$1"; }
timed "faced-csi: its pictures reach faced in its sandbox" 30 ribbon open
main=$(main_pid faced-csi)
inside kill -KILL "$main"
timed "kill -9 of the sender: systemd starts it again" 30 new_main "$main" faced-csi
timed "and the pictures come back" 60 ribbon back

step "Stop"
began=$(now_ms)
inside systemctl stop faced
took=$(($(now_ms) - began)) limit=$(grep -oP '^TimeoutStopSec=\K.*' systemd/faced.service)
holds "after $(seconds $took) s (TimeoutStopSec=$limit)" test $took -lt $((limit * 1000))
holds "with status 0, success" test "$(prop faced ExecMainStatus) $(prop faced Result)" = "0 success"
holds "no process of it is left" test -z "$(prop faced MainPID | grep -vx 0)$(cat "$outside/sys/fs/cgroup/system.slice/faced.service/cgroup.procs" 2>/dev/null)"
# A path below /proc would be resolved to this machine's.
cp "$state"/gallery.db* "$dir/"
cp "$outside/srv/heard" "$dir/"
holds "no event is lost" node deploy/check/none-lost.mjs "$dir"

step "$failures faults"
[ "$failures" -eq 0 ]
