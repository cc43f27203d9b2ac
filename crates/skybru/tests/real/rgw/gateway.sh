#!/usr/bin/env bash
# Ceph's RADOS Gateway on this machine: an STS and an S3 that nobody here wrote.
#
#   gateway.sh start FOLDER PORT CA.pem    makes a cluster of one monitor, one OSD in memory and one gateway; returns when it answers
#   gateway.sh stop  FOLDER                ends the three by their process ids, and waits until they are gone
#
# Needs root: CA.pem is laid over the trust store of the gateway alone, in a mount namespace of its own, because its HTTP library reads no
# other file. PORT and the eleven after it must be free. The administrator's keys are ADMIN and ADMINSECRET.
set -euo pipefail

command=$1 folder=$2
export CEPH_CONF=$folder/ceph.conf

is_running() { # PIDFILE
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && [ -d "/proc/$pid" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status"
}

stop() {
  local file pid
  for file in "$folder"/run/{client.rgw.a,osd.0,mon.a}.pid; do
    is_running "$file" || continue
    pid=$(cat "$file")
    kill "$pid"
    for _ in $(seq 50); do is_running "$file" || break; sleep 0.1; done
    # Everything is in memory: there is nothing to lose.
    ! is_running "$file" || kill -9 "$pid"
  done
}

write_settings() { # PORT
  local monitor=$(($1 + 1)) first_osd=$(($1 + 3))
  cat >"$CEPH_CONF" <<SETTINGS
[global]
fsid = $(uuidgen)
mon initial members = a
mon host = [v2:127.0.0.1:$((monitor + 1)),v1:127.0.0.1:$monitor]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind port min = $first_osd
ms bind port max = $((first_osd + 8))
# Without cephx the gateway never gets past the monitor.
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
# One of everything, and a disk that is nearly full is no reason to stop.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
paxos propose interval = 0.05
osd objectstore = memstore
memstore device bytes = 1073741824
osd class dir = /usr/lib/$(uname -m)-linux-gnu/rados-classes
mon data = $folder/mon
osd data = $folder/osd
run dir = $folder/run
admin socket = $folder/run/\$name.asok
pid file = $folder/run/\$name.pid
log file = $folder/log/\$name.log
keyring = $folder/keyring
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:$1
rgw dns name = localhost
rgw s3 auth use sts = true
rgw sts key = sixteencharacter
rgw thread pool size = 16
rgw run sync thread = false
SETTINGS
}

start_storage() {
  cd "$folder"
  ceph-authtool --create-keyring --gen-key -n mon. --cap mon 'allow *' mon.keyring
  ceph-authtool --create-keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' keyring
  ceph-authtool --gen-key -n client.rgw.a --cap mon 'allow rwx' --cap osd 'allow rwx' keyring
  ceph-authtool mon.keyring --import-keyring keyring
  local first
  first=$(sed -n 's/^mon host = //p' "$CEPH_CONF")
  monmaptool --create --clobber --fsid "$(sed -n 's/^fsid = //p' "$CEPH_CONF")" --addv a "$first" monmap
  ceph-mon --mkfs -i a --monmap monmap --keyring mon.keyring
  ceph-mon -i a
  local id key
  id=$(uuidgen) key=$(ceph-authtool --gen-print-key)
  printf '{"cephx_secret":"%s"}' "$key" | timeout 30 ceph osd new "$id" 0 -i -
  ceph-authtool --create-keyring -n osd.0 --add-key "$key" osd/keyring
  ceph-osd -i 0 --mkfs --osd-uuid "$id" --keyring osd/keyring
  ceph-osd -i 0 --keyring osd/keyring
  for _ in $(seq 100); do
    if timeout 10 ceph osd stat 2>/dev/null | grep -q '1 up'; then return; fi
    sleep 0.1
  done
  echo "the OSD does not come up" >&2
  return 1
}

start_gateway() { # PORT CA
  cat /etc/ssl/certs/ca-certificates.crt "$2" >"$folder/trusted.pem"
  unshare --mount bash -c \
    "mount --bind '$folder/trusted.pem' /etc/ssl/certs/ca-certificates.crt && exec radosgw --name client.rgw.a"
  for _ in $(seq 240); do
    if [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$1/" || true)" = 200 ]; then return; fi
    sleep 0.25
  done
  echo "the gateway does not answer" >&2
  tail -5 "$folder/log/client.rgw.a.log" >&2
  return 1
}

case $command in
start)
  mkdir -p "$folder"/{mon,osd,log,run}
  write_settings "$3"
  start_storage >"$folder/start.log" 2>&1 || { tail -5 "$folder/start.log" >&2; exit 1; }
  start_gateway "$3" "$4"
  radosgw-admin -n client.rgw.a user create --uid admin --display-name admin --access-key ADMIN --secret ADMINSECRET \
    --caps 'roles=*;oidc-provider=*;user-policy=*' >"$folder/admin.json" 2>>"$folder/start.log"
  ;;
stop) stop ;;
*) sed -n '2,11p' "$0" >&2; exit 2 ;;
esac
