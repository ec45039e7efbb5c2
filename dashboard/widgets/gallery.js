// A row of photos of which one is chosen: one tab stop, arrow keys move, a click or Enter chooses.
export default function ({ data, parentElement, setStateValue }) {
  const row = parentElement.querySelector(".row");
  row.setAttribute("aria-label", data.label);
  const chosen = data.photos.findIndex((photo) => photo.id === data.chosen);
  row.replaceChildren(
    ...data.photos.map((photo, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", String(index === chosen));
      button.setAttribute("aria-label", photo.title);
      button.title = photo.title;
      button.tabIndex = index === Math.max(chosen, 0) ? 0 : -1;
      const image = document.createElement("img");
      image.src = photo.src;
      image.alt = "";
      button.append(image);
      if (photo.unknown) {
        const mark = document.createElement("span");
        mark.textContent = "?";
        mark.setAttribute("aria-hidden", "true");
        button.append(mark);
      }
      button.onclick = () => choose(index);
      return button;
    }),
  );
  const choose = (index) => {
    const buttons = [...row.children];
    buttons.forEach((button, other) => {
      button.setAttribute("aria-checked", String(other === index));
      button.tabIndex = other === index ? 0 : -1;
    });
    buttons[index].focus();
    setStateValue("chosen", data.photos[index].id);
  };
  row.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const now = [...row.children].findIndex((button) => button.getAttribute("aria-checked") === "true");
    choose((now + step + data.photos.length) % data.photos.length);
  };
}
