/** Lists every operation of /openapi.json with a form to try it. No framework, nothing from elsewhere. */

const token = document.getElementById('token');
const main = document.getElementById('operations');
let csrf = null;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function field(name, schema, description, required) {
  const hint = [description, required ? 'required' : '', schema.enum?.join(' | ')].filter(Boolean).join('; ');
  const input = element('input', { name, required, value: schema.default ?? '' });
  return { name, input, label: element('label', {}, `${name}${hint === '' ? '' : ` (${hint})`}`, input) };
}

function exampleOf(schema) {
  if (schema.type !== 'object') return schema.type === 'array' ? [] : '';
  const properties = Object.entries(schema.properties ?? {});
  return Object.fromEntries(properties.map(([name, one]) => [name, one.default ?? exampleOf(one)]));
}

async function show(response, output) {
  const type = response.headers.get('content-type') ?? '';
  const status = `${response.status} ${response.statusText}`;
  if (type.startsWith('image/')) {
    const picture = element('img', { src: URL.createObjectURL(await response.blob()), alt: 'the answer' });
    output.replaceChildren(status, element('br'), picture);
    return;
  }
  if (type.startsWith('text/event-stream') || type.startsWith('multipart/')) {
    output.textContent = `${status}\n(a stream: open it in a program of its own)`;
    await response.body?.cancel();
    return;
  }
  const text = await response.text();
  try {
    output.textContent = `${status}\n${JSON.stringify(JSON.parse(text), null, 2)}`;
  } catch {
    output.textContent = `${status}\n${text.slice(0, 100_000)}`;
  }
}

function bodyOf(operation) {
  const content = operation.requestBody?.content ?? {};
  const form = content['multipart/form-data']?.schema;
  const json = content['application/json']?.schema;
  const [binary] = Object.keys(content).filter(
    (type) => !type.includes('json') && !type.startsWith('multipart'),
  );
  if (form !== undefined) {
    const files = element('input', {
      type: 'file',
      multiple: 'images' in form.properties,
      accept: 'image/*',
    });
    const others = Object.entries(form.properties).filter(([name]) => !['image', 'images'].includes(name));
    const fields = others.map(([name, schema]) =>
      field(name, schema, schema.description, (form.required ?? []).includes(name)),
    );
    return {
      nodes: [...fields.map(({ label }) => label), element('label', {}, 'picture ', files)],
      make: () => {
        const data = new FormData();
        for (const { name, input } of fields) if (input.value !== '') data.append(name, input.value);
        for (const file of files.files) data.append('image', file);
        return { body: data };
      },
    };
  }
  if (json !== undefined) {
    const text = element('textarea', { rows: 6, value: JSON.stringify(exampleOf(json), null, 2) });
    return {
      nodes: [element('label', {}, 'body (JSON)', text)],
      make: () => ({ body: text.value, headers: { 'content-type': 'application/json' } }),
    };
  }
  if (binary !== undefined) {
    const file = element('input', { type: 'file' });
    return {
      nodes: [element('label', {}, 'file ', file)],
      make: () => ({ body: file.files[0], headers: { 'content-type': binary } }),
    };
  }
  return { nodes: [], make: () => ({}) };
}

function operationForm(path, method, operation) {
  const fields = (operation.parameters ?? []).map((one) => ({
    ...field(one.name, one.schema, one.description, one.required),
    place: one.in,
  }));
  const body = bodyOf(operation);
  const output = element('pre', { tabIndex: 0 });
  output.setAttribute('role', 'status');
  const form = element(
    'form',
    {},
    element('p', { textContent: operation.description ?? '' }),
    ...fields.map(({ label }) => label),
    ...body.nodes,
    element('button', { textContent: 'Send' }),
    output,
  );
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    for (const { name, input, place } of fields) {
      if (place === 'path') url = url.replace(`{${name}}`, encodeURIComponent(input.value));
      else if (input.value !== '') query.set(name, input.value);
    }
    const { headers = {}, ...rest } = body.make();
    if (token.value !== '') headers.authorization = `Bearer ${token.value}`;
    else if (csrf !== null) headers['x-csrf-token'] = csrf;
    output.textContent = '…';
    try {
      const suffix = query.size === 0 ? '' : `?${query}`;
      await show(await fetch(url + suffix, { method: method.toUpperCase(), headers, ...rest }), output);
    } catch (error) {
      output.textContent = `no answer: ${error.message}`;
    }
  });
  const title = element(
    'summary',
    {},
    element('b', { textContent: method.toUpperCase() }),
    ` ${path}: ${operation.summary}`,
  );
  return element('details', {}, title, form);
}

const document_ = await (await fetch('/openapi.json')).json();
csrf = (await (await fetch('/v1/session')).json()).csrf;
for (const { name } of document_.tags) {
  main.append(element('h2', { textContent: name }));
  for (const [path, methods] of Object.entries(document_.paths))
    for (const [method, operation] of Object.entries(methods))
      if (operation.tags.includes(name)) main.append(operationForm(path, method, operation));
}
