#!/bin/sh
# Who is in a picture: recognize.sh PICTURE. Needs curl, and a token: faced token create --scope recognize
set -eu
curl --fail-with-body --silent --show-error \
  --header "Authorization: Bearer ${FACED_TOKEN:?set it to a token}" \
  --form "image=@${1:?a picture}" \
  "${FACED_URL:-http://127.0.0.1:8723}/v1/recognize"
