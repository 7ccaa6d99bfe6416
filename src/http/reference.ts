import type { Route } from './route.js';

/** The list of addresses in docs/http.md, made of the routes; a test keeps it so. */
export function routeTable(routes: readonly Route[]): string {
  const tags = [...new Set(routes.map(({ tag }) => tag))];
  return tags
    .map((tag) => {
      const rows = routes
        .filter((one) => one.tag === tag)
        .map(
          ({ method, path, summary, who }) =>
            `| \`${method} ${path}\` | ${WHO[who] ?? `\`${who}\``} | ${summary} |`,
        );
      return [`### ${tag}`, '', '| address | who may | what |', '| --- | --- | --- |', ...rows].join('\n');
    })
    .join('\n\n');
}

const WHO: Readonly<Record<string, string>> = {
  anyone: 'anyone',
  local: 'this machine; `read` from elsewhere',
  'signed-in': 'somebody who is signed in',
};
