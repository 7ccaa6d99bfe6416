import { join } from 'node:path';
import { defineConfig } from 'vite';

/** Builds the page into dist/web/, which the daemon serves: `npm run build`. */
export default defineConfig({
  root: import.meta.dirname,
  publicDir: false,
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    outDir: join(import.meta.dirname, '..', 'dist', 'web'),
    emptyOutDir: true,
    target: 'es2022',
    // The content security policy takes neither scripts nor data that stand in the page.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
