/* Bring a figure that can be played with to the cell that is tagged for it;
   a page without one loads nothing more than this. */
{
  const here = document.currentScript.src;
  const bring = async (cell, name) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = new URL("../play.css", here);
    const styled = new Promise((done, failed) => {
      style.onload = done;
      style.onerror = failed;
    });
    document.head.append(style);
    const [figure] = await Promise.all([
      import(new URL(`${name}.js`, here)),
      styled,
    ]);
    figure.mount(cell);
  };
  // Opened as a file, a page may not load modules: its picture stays.
  if (location.protocol.startsWith("http"))
    document.addEventListener("DOMContentLoaded", () => {
      for (const name of ["neuron", "xor"]) {
        const cell = document.querySelector(`.tag_play-${name}`);
        if (cell) bring(cell, name);
      }
    });
}
