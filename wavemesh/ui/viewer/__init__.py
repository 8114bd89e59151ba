"""The one viewer of the page: three.js in a bundle of its own, wrapped as a component of gradio."""
