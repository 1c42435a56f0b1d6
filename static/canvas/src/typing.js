/** Type *text* into the field inside element *id*, where its cursor was last; the field notices as if a person typed. */
export function insertText(id, text) {
  const box = document.getElementById(`c${id}`)
  const field = box?.matches('input, textarea') ? box : box?.querySelector('textarea, input, .cm-content')
  if (!field) return
  field.focus({ preventScroll: true })
  document.execCommand('insertText', false, text)
}
