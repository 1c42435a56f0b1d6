import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

// One self-contained ES module; `vue` stays a bare import that NiceGUI's import map resolves to its own Vue.
export default defineConfig({
  plugins: [vue({ isProduction: true })],
  define: { 'process.env.NODE_ENV': '"production"', __VUE_PROD_DEVTOOLS__: 'false' },
  build: {
    outDir: '../dist',
    emptyOutDir: false,
    copyPublicDir: false,
    target: 'es2022',
    minify: true,
    sourcemap: false,
    reportCompressedSize: false,
    lib: { entry: 'src/index.js', formats: ['es'], fileName: () => 'flow_canvas.js' },
    rolldownOptions: { external: ['vue'], output: { codeSplitting: false, minify: true } },
  },
})
