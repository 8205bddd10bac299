# Shared by the scripts in this folder: where the project is, what it needs, how it is built. Sourced, not run.
# Nothing is installed that is there already, and whatever is installed is named first.

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Set NIGHTJAR_BIN to try another binary than the one built here.
NIGHTJAR=${NIGHTJAR_BIN:-$ROOT/.build/release/nightjar}
JOBS=$(nproc 2>/dev/null || echo 2)
VENV=$ROOT/.venv

BUILD_PACKAGES=(liblua5.4-dev libsndfile1-dev libc-ares-dev libsqlite3-dev pkg-config gcc libc6-dev)
PHONE_PACKAGES=(baresip-core python3)
TEST_PACKAGES=(sip-tester baresip-core kamailio python3 python3-venv openssl iproute2 iptables procps)

say() { printf '==> %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root or sudo: $*"
  fi
}

# need_packages NAME…: installs those Debian packages that are missing.
need_packages() {
  local missing=() p
  for p in "$@"; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing+=("$p")
  done
  [ ${#missing[@]} = 0 ] && return 0
  command -v apt-get >/dev/null || die "please install what is named here by Debian's names: ${missing[*]}"
  say "installing with apt: ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  # No service is started and nothing recommended is pulled in: the scripts start what they use, on loopback.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

need_swift() {
  local version
  command -v swift >/dev/null || die "Swift 6.3 is needed: see https://www.swift.org/install/linux/"
  version=$(swift --version 2>&1 | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -1)
  case $version in
  6.[2-9] | 6.[1-9][0-9] | [7-9].*) ;;
  *) die "Swift 6.3 is needed, this is ${version:-unknown}" ;;
  esac
}

# need_python: the virtual environment of the tests, with what Tests/requirements.txt names.
need_python() {
  if [ ! -x "$VENV/bin/python" ]; then
    say "making a Python environment in .venv"
    python3 -m venv "$VENV"
  fi
  if ! cmp -s "$ROOT/Tests/requirements.txt" "$VENV/installed.txt"; then
    say "installing with pip: $(grep -v '^#' "$ROOT/Tests/requirements.txt" | xargs)"
    # pjsua2 is a second make of phone and has no wheel for every machine: its tests say so and are skipped.
    grep -v -e '^#' -e pjsua2 "$ROOT/Tests/requirements.txt" >"$VENV/needed.txt"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check -r "$VENV/needed.txt"
    grep pjsua2 "$ROOT/Tests/requirements.txt" >"$VENV/wanted.txt" || true
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$VENV/wanted.txt" ||
      say "pjsua2 is not available here: its tests will be skipped"
    cp "$ROOT/Tests/requirements.txt" "$VENV/installed.txt"
  fi
}

# build_release: the one release build that run, demo, bench and the end-to-end tests share.
build_release() {
  [ -n "${NIGHTJAR_BIN:-}" ] && return 0
  need_swift
  need_packages "${BUILD_PACKAGES[@]}"
  say "building release (the first build takes some minutes)"
  (cd "$ROOT" && swift build -c release --product nightjar -j "$JOBS")
}
