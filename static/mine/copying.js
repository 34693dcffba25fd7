// Copies a text for the person, or selects it so that they can.

/** A button that copies what stands in `field`, and says so. */
export function copyOnClick(button, field) {
  const label = button.textContent;
  button.onclick = async () => {
    field.focus();
    field.select();
    try {
      // Browsers have a clipboard for pages over https and on this machine only.
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: copy it";
    }
  };
  return () => {
    button.textContent = label;
  };
}
