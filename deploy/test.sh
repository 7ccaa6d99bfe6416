#!/usr/bin/env bash
# Sets up what the tests need, then runs the linters and every test. The last lines are node:test's summary.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. deploy/lib.sh

bash deploy/setup.sh --test

step "Lint"
npm run --silent lint
shellcheck bin/faced deploy/*.sh native/tensorrt/*.sh .ci/run

step "Tests"
npm test
