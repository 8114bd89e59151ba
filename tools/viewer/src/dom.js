// An element inside another one, with these attributes and this text.
export const made = (parent, tag, attributes, text = '') => {
  const element = parent.appendChild(document.createElement(tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(text);
  return element;
};
