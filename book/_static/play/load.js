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
  document.addEventListener("DOMContentLoaded", () => {
    for (const name of ["neuron", "xor"]) {
      const cell = document.querySelector(`.tag_play-${name}`);
      if (!cell) continue;
      if (location.protocol !== "file:") bring(cell, name);
      else {
        // A file may not load modules: its picture stays, and says why.
        const line = document.createElement("p");
        line.textContent =
          "This picture can be played with where the site is served: " +
          "make serve.";
        cell.after(line);
      }
    }
  });
}
