#!/bin/bash
# For check-packages.sh, inside a clean Debian, as root: the life of a package, from its installation to its purge.
#   installed.sh OLD.deb NEW.deb     the same package, and one of a higher version that adds the table `later` to the database
# /check/material has pictures (check/prepare.mjs), /check/models the files of the models, /check/demo the demo's photographs.
set -euo pipefail
old=$1 new=$2
export DEBIAN_FRONTEND=noninteractive FACED_MQTT_EMBEDDED_PORT=0 FACED_HTTP_PORT=0
say() { printf '  -- %s\n' "$*"; }
die() {
  printf 'faced: %s\n' "$*" >&2
  exit 1
}
install() { apt-get -q -y -o Dpkg::Options::=--force-confold --no-install-recommends "$@" >>/check/apt.log 2>&1 || die "apt-get $* failed: see apt.log"; }
# What of the package, and of what it made, is on the machine.
left() { find / -xdev \( -path /proc -o -path /check -o -path /var/lib/dpkg \) -prune -o -name '*faced*' -print | LC_ALL=C sort; }
owned() { [ "$(stat -c '%U %a' "$1")" = "faced $2" ] || die "$1 belongs to $(stat -c '%U, mode %a' "$1")"; }
tables() {
  # Reading leaves files beside it.
  cp /var/lib/faced/gallery.db /check/tables.db
  /opt/faced/runtime/node -p 'const Database = require("/opt/faced/node_modules/better-sqlite3");
    new Database("/check/tables.db").prepare("SELECT name FROM sqlite_master").pluck().all().join(" ")'
}
known_ada() { faced people list --json | grep -q '"name":"Ada"' || die "the gallery has no Ada $1"; }

say "install"
before=$(left)
apt-get -q update >/check/apt.log 2>&1
install install "$old"
[ -z "$(dpkg --verify faced)" ] || die "files differ from what the package says: $(dpkg --verify faced)"
owned /var/lib/faced 700
owned /var/cache/faced 700
[ "$(id -u faced) $(id -Gn faced | tr ' ' '\n' | sort | tr '\n' ' ')" = "871 faced faced-csi faced-tensorrt gpio video " ] ||
  die "the user is $(id faced)"

say "units"
systemctl is-enabled faced.service >/dev/null || die "faced.service is not enabled"
systemd-analyze verify faced.service 2>&1 | tee /check/verify.txt
[ ! -s /check/verify.txt ] || die "systemd finds faults in the unit"
systemd-analyze security --offline=true --no-pager --threshold=20 faced.service | tail -1

say "statements of the database are collected as garbage"
/opt/faced/runtime/node /check/statements.mjs /opt/faced

say "models brought as files, without npm; one over HTTPS"
command -v npm && die "this is no clean machine: it has npm"
for id in ultraface landmarks68 minifasnet; do faced model fetch "$id" --from "/check/models/$id.onnx"; done
faced model fetch mobilefacenet
cp -r /check/demo /var/cache/faced/models/demo
chown -R faced: /var/cache/faced/models/demo

say "doctor"
faced doctor --json >/check/doctor.json || true
grep -o 'Node.js v\?24\.[0-9.]*' /check/doctor.json || die "doctor names no Node.js 24"
faced doctor || true

say "enroll, identify, run"
# Pictures that only root may read.
cp -r /check/material /root/pictures
chmod -R go= /root/pictures
faced enroll Ada /root/pictures/enroll
faced run --once --json --source images:/root/pictures/pictures >/check/events.ndjson
[ "$(grep -o '"decision":"[a-z]*"' /check/events.ndjson | sort | tr '\n' ' ')" = '"decision":"known" "decision":"unknown" ' ] ||
  die "other decisions than one known and one stranger: $(cat /check/events.ndjson)"
faced run --once --json --source demo >/check/demo.ndjson
[ "$(grep -c '"decision":"known"' /check/demo.ndjson)" -ge 2 ] || die "the demo knew nobody"
known_ada "after the enrolment"
[ -z "$(find /var/lib/faced /var/cache/faced ! -user faced)" ] || die "not all files are the service's"
su -s /bin/sh nobody -c 'faced people list' 2>/dev/null && die "anybody may read the gallery"

say "upgrade: the changed configuration and the gallery stay"
printf 'recognition:\n  strangersPerThousand: 2\n' >>/etc/faced/faced.yaml
cp /etc/faced/faced.yaml /check/changed.yaml
install install "$new"
[ "$(dpkg-query -W -f '${Version}' faced)" = "$(dpkg-deb -f "$new" Version)" ] || die "the version is not the new one"
cmp /etc/faced/faced.yaml /check/changed.yaml
copies=/var/lib/faced/before-migration
[ ! -e "$copies" ] || die "a copy from before a migration was made before there was one"
known_ada "after the upgrade"
[[ " $(tables) " == *" later "* ]] || die "the new version did not change the database"
copy=$(find "$copies" -name 'faced-*.db')
owned "$copy" 600
faced backup verify "$copy"
say "the database was copied before it was changed"

say "downgrade: the version before reads and writes what the new one has changed"
install install --allow-downgrades "$old"
cmp /etc/faced/faced.yaml /check/changed.yaml
known_ada "after the downgrade"
faced people rename Ada "Ada too"
faced people rename "Ada too" Ada
known_ada "after a change"
[[ " $(tables) " == *" later "* ]] || die "the version before took something out of the database"
say "and the copy brings back what was"
faced backup restore "$copy" --replace
known_ada "after the copy was restored"
[[ " $(tables) " != *" later "* ]] || die "the copy is not from before the change"

say "remove: configuration and gallery stay"
install remove faced
[ ! -e /usr/bin/faced ] || die "the program is still there"
cmp /etc/faced/faced.yaml /check/changed.yaml
[ -f /var/lib/faced/gallery.db ] || die "the gallery is gone: $(ls -A /var/lib/faced)"
install install "$old"
cmp /etc/faced/faced.yaml /check/changed.yaml
known_ada "after it was installed again"
systemctl is-enabled faced.service >/dev/null || die "faced.service is not enabled again"

say "purge: nothing stays"
(umask 077 && echo key >/etc/faced/gallery.key)
install purge faced
[ "$(left)" = "$before" ] || die "left on the machine: $(diff <(echo "$before") <(left))"
