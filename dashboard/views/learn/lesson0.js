// One channel's way through a gate: map, mean, layers, sigmoid, scaled map. All numbers are in the data.
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".lesson");
  const { trace, words, colour } = data;
  const number = (value, digits = 3) => value.toFixed(digits).replace("-", "−");
  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    made.append(...children);
    return made;
  };
  const picture = (channel, shade = 1, alt = "") => {
    const image = element("img", { src: `data:image/png;base64,${trace.maps[channel].png_base64}`, alt });
    image.style.filter = `brightness(${0.18 + 0.82 * shade})`;
    return image;
  };
  const row = element("div", { class: "maps", role: "radiogroup", "aria-label": words.channels });
  const steps = element("div", { class: "steps", "aria-live": "polite" });
  let chosen = 0;

  trace.maps.forEach((map, channel) => {
    const button = element("button", { type: "button", role: "radio", "aria-label": `${words.channel} ${channel}` });
    button.append(picture(channel), element("small", {}, `${channel} · ${number(trace.weights[channel], 2)}`));
    button.onclick = () => choose(channel);
    row.append(button);
  });
  row.onkeydown = (event) => {
    const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!move) return;
    event.preventDefault();
    choose((chosen + move + trace.maps.length) % trace.maps.length);
    row.children[chosen].focus();
  };

  const step = (title, ...children) => element("section", {}, element("h4", {}, title), ...children);
  const table = (lines, total) => {
    const made = element("table");
    lines.forEach((cells) => made.append(element("tr", {}, ...cells.map((cell) => element("td", {}, cell)))));
    made.append(element("tr", { class: "total" }, element("td", { colspan: 3 }, ""), element("td", {}, number(total))));
    return made;
  };

  // The last layer's sum for the chosen channel: neighbours times the shared filter, or hidden numbers times a row.
  const sum = () => {
    const last = trace.steps[trace.steps.length - 1];
    const total = last.output[chosen];
    if (last.kind === "Conv1d") {
      const reach = (last.weight.length - 1) / 2;
      const lines = last.weight.map((weight, index) => {
        const channel = chosen + index - reach;
        const there = channel >= 0 && channel < trace.pooled.length;
        const value = there ? trace.pooled[channel] : 0;
        const name = there ? `${words.channel} ${channel}` : words.edge;
        return [name, number(value), `× ${number(weight)}`, `= ${number(value * weight)}`];
      });
      return [table(lines, total), element("p", {}, words.shared)];
    }
    const hidden = trace.steps[0].output.map((value) => Math.max(value, 0));
    const width = hidden.length;
    const lines = hidden.map((value, index) => {
      const weight = last.weight[chosen * width + index];
      return [`${words.hidden} ${index}`, number(value), `× ${number(weight)}`, `= ${number(value * weight)}`];
    });
    return [table(lines.slice(0, 8), total), element("p", {}, words.everyone)];
  };

  const bars = () => {
    const most = Math.max(...trace.pooled.map(Math.abs)) || 1;
    const made = element("div", { class: "bars", "aria-hidden": "true" });
    trace.pooled.forEach((value, channel) => {
      const bar = element("i");
      const height = (45 * Math.abs(value)) / most;
      bar.style.cssText = `height:${height}%;background:${colour};opacity:${channel === chosen ? 1 : 0.3};` +
        (value >= 0 ? `bottom:50%` : `top:50%`);
      const slot = element("span");
      slot.append(bar);
      made.append(slot);
    });
    return made;
  };

  const choose = (channel) => {
    chosen = channel;
    [...row.children].forEach((button, index) => {
      button.setAttribute("aria-checked", String(index === channel));
      button.tabIndex = index === channel ? 0 : -1;
    });
    const weight = trace.weights[channel];
    const large = element("p", { class: "large" }, number(weight));
    steps.replaceChildren(
      step(words.map, picture(channel, 1, `${words.channel} ${channel}`), element("small", {}, `${trace.height} × ${trace.width}`)),
      step(words.squeeze, element("p", { class: "large" }, number(trace.pooled[channel])), bars()),
      step(words.decide, ...sum()),
      step(words.sigmoid, large, element("small", {}, words.formula)),
      step(words.scale, picture(channel, weight, `${words.channel} ${channel} × ${number(weight)}`), element("small", {}, `× ${number(weight)}`)),
    );
  };

  root.replaceChildren(row, steps);
  choose(Math.min(4, trace.maps.length - 1));
}
