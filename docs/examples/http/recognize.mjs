// Who is in a picture: node recognize.mjs PICTURE. Needs Node.js 20, and a token: faced token create --scope recognize
import { readFile } from 'node:fs/promises';

const { FACED_TOKEN, FACED_URL = 'http://127.0.0.1:8723' } = process.env;

async function recognize(picture) {
  for (;;) {
    const response = await fetch(`${FACED_URL}/v1/recognize`, {
      method: 'POST',
      headers: { authorization: `Bearer ${FACED_TOKEN}`, 'content-type': 'application/octet-stream' },
      body: picture,
    });
    const answer = await response.json();
    if (response.ok) return answer.faces;
    // Too much at once: the answer says when to come again.
    if (response.status !== 429) throw new Error(`${answer.error.message} (${answer.error.code})`);
    await new Promise((resolve) =>
      setTimeout(resolve, 1000 * Number(response.headers.get('retry-after') ?? 1)),
    );
  }
}

for (const { decision, person } of await recognize(await readFile(process.argv[2])))
  console.log(person?.name ?? decision);
