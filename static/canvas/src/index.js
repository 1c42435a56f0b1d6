// Entry of the bundle: NiceGUI imports the default export and registers it as a Vue component.
import coreCss from '@vue-flow/core/dist/style.css?inline'
import ownCss from './style.css?inline'
import FlowCanvas from './FlowCanvas.vue'

// Styles must exist before the first node is measured, so they travel inside the module.
const ID = 'flow-canvas-style'
if (!document.getElementById(ID)) {
  const element = document.createElement('style')
  element.id = ID
  element.textContent = coreCss + ownCss
  document.head.append(element)
}
export default FlowCanvas
