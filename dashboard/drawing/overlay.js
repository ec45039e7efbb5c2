// Attention weights over a photo: what is held back is dark. A click or an arrow key asks from which place to look.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".overlays");
  const photo = new Image();
  photo.onload = () => root.replaceChildren(...data.items.map(draw));
  photo.src = data.photo;

  const draw = (item) => {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 132;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", item.alt);
    paint(canvas, item);
    if (data.asks) {
      canvas.tabIndex = 0;
      canvas.onclick = (event) => {
        const box = canvas.getBoundingClientRect();
        const row = Math.floor(((event.clientY - box.top) / box.height) * item.rows);
        const column = Math.floor(((event.clientX - box.left) / box.width) * item.columns);
        setTriggerValue("place", { row, column, rows: item.rows, columns: item.columns });
      };
      canvas.onkeydown = (event) => {
        const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
        if (!step || !item.place) return;
        event.preventDefault();
        const row = Math.min(Math.max(item.place[0] + step[0], 0), item.rows - 1);
        const column = Math.min(Math.max(item.place[1] + step[1], 0), item.columns - 1);
        setTriggerValue("place", { row, column, rows: item.rows, columns: item.columns });
      };
    }
    const caption = document.createElement("figcaption");
    caption.textContent = item.caption;
    figure.append(canvas, caption);
    return figure;
  };

  const paint = (canvas, item) => {
    const context = canvas.getContext("2d");
    const [left, top, right, bottom] = data.crop; // shares of the photo; what was padded is not drawn
    const [wide, high] = [canvas.width / (right - left), canvas.height / (bottom - top)];
    context.drawImage(photo, -left * wide, -top * high, wide, high);
    const range = item.high - item.low || 1;
    const height = canvas.height / item.rows;
    const width = canvas.width / item.columns;
    item.weights.forEach((weight, index) => {
      const share = item.high > item.low ? (weight - item.low) / range : 1;
      context.fillStyle = `rgba(0, 0, 0, ${1 - (0.18 + 0.82 * share)})`;
      const row = Math.floor(index / item.columns);
      const column = index % item.columns;
      const [x, y] = [Math.round(column * width), Math.round(row * height)]; // whole pixels, so that no seam is seen
      context.fillRect(x, y, Math.round((column + 1) * width) - x, Math.round((row + 1) * height) - y);
    });
    if (item.place) {
      context.strokeStyle = data.colour;
      context.lineWidth = 3;
      context.strokeRect(item.place[1] * width, item.place[0] * height, Math.max(width, 10), Math.max(height, 10));
    }
  };
}
