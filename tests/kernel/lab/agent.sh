# shellcheck shell=bash
# Sourced by the guest's vm-job with /job mounted: shares, v4l2loopback release, the job, its result.
cut -d' ' -f1 /proc/uptime >/job/booted                 # seconds from the kernel's start
while read -r tag point mode host; do
  mkdir -p "$point"
  share "$mode" "$host" "$point" "$tag" || echo "sharing $host failed" >>/job/out/agent.log
done </job/shares

wanted=$(tr ' ' '\n' </proc/cmdline | sed -n 's/^loopback=//p')
installed=/lib/modules/$(uname -r)/updates/v4l2loopback.ko
if [ -n "$wanted" ]; then
  rmmod v4l2loopback 2>/dev/null
  rm -f "$installed"
  if [ "$wanted" != none ]; then
    cp "/opt/loopback/$(uname -r)/$wanted/v4l2loopback.ko" "$installed"
  fi
  depmod
  [ "$wanted" = none ] || modprobe v4l2loopback || echo "no v4l2loopback $wanted" >>/job/out/agent.log
fi

# The checkout, as `pip install -e` would leave it.
if [ -d /src/vcsharp ]; then
  echo /src >/opt/venv/lib/python3.11/site-packages/vcsharp.pth
  cat >/opt/venv/bin/vcsharp <<'PYTHON'
#!/opt/venv/bin/python
import sys
from vcsharp.__main__ import main
sys.exit(main())
PYTHON
  chmod +x /opt/venv/bin/vcsharp
  cd /src || exit
fi
# The share may be read-only, and who writes there writes on the host.
export PYTHONDONTWRITEBYTECODE=1 PATH=/opt/venv/bin:$PATH OUT=/job/out
udevadm settle
timeout 90 systemctl is-system-running --wait >/dev/null
bash /job/run > >(tee /job/out/stdout >/dev/console) 2> >(tee /job/out/stderr >/dev/console)
status=$?
journalctl -b --no-pager -o short-monotonic >/job/out/journal.txt 2>/dev/null
echo $status >/job/status.tmp
mv /job/status.tmp /job/status
sync
