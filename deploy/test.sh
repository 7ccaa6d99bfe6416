#!/usr/bin/env bash
# Sets up what the tests need, then runs the linters, the check of the arm64 package and every test. The last lines are
# node:test's summary.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. deploy/lib.sh

bash deploy/setup.sh --test

step "Lint"
npm run --silent lint
shellcheck bin/faced deploy/*.sh deploy/*/*.sh deploy/debian/faced deploy/debian/p* deploy/container/faced-container native/tensorrt/*.sh systemd/*.sh .ci/run

step "The package of a Raspberry Pi"
bash deploy/check-arm64.sh --if-possible

step "Tests"
npm test
