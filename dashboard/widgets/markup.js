// Shows markup and turns a click on one of its links into a change of page that keeps the session.
export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".markup");
  root.innerHTML = data.html;
  root.onclick = (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return; // the browser's own ways
    event.preventDefault();
    setTriggerValue("go", link.getAttribute("href"));
  };
}
