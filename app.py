"""The WaveMesh page: `python app.py`. GRADIO_SERVER_NAME and GRADIO_SERVER_PORT choose the address."""

from wavemesh.ui.app import launch

if __name__ == "__main__":
    launch()
