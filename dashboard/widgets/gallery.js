// A row of pictures of which one is chosen: one tab stop, arrow keys move, a click or Enter chooses.
export default function ({ data, parentElement, setStateValue }) {
  const row = parentElement.querySelector(".row");
  row.setAttribute("aria-label", data.label);
  const chosen = data.photos.findIndex((photo) => photo.id === data.chosen);
  const focused = row.contains(row.getRootNode().activeElement);
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
      if (photo.frame) {
        button.className = "framed";
        image.style.borderColor = photo.frame;
        image.style.filter = `brightness(${photo.shade})`;
      }
      if (photo.after_gap) button.classList.add("after-gap");
      button.append(image);
      if (photo.caption) {
        const caption = document.createElement("small");
        caption.textContent = photo.caption;
        button.append(caption);
      }
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
  if (focused && chosen >= 0) row.children[chosen].focus(); // drawing anew must not lose the keyboard's place
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
