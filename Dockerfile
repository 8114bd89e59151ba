# The page in a container, on a CPU:  docker build -t wavemesh . && docker run --rm -p 7860:7860 wavemesh
FROM python:3.12-slim

# A software OpenGL for the pictures of meshes.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.txt constraints.txt ./
# torch by itself and pinned: a range would let pip choose a build that is several GB larger.
RUN pip install --no-cache-dir "$(grep '^torch==' constraints.txt)"
RUN pip install --no-cache-dir -r requirements.txt -c constraints.txt

RUN useradd --create-home wavemesh
COPY LICENSE README.md app.py ./
COPY wavemesh wavemesh
COPY assets assets
COPY examples examples

USER wavemesh
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860
EXPOSE 7860
CMD ["python", "app.py"]
