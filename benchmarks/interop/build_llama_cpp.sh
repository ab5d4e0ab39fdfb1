#!/bin/sh
# llama.cpp with its Python binding, built from source into a virtual environment of its own: build_llama_cpp.sh FOLDER
set -eu
python3 -m venv "$1"
"$1/bin/pip" install --quiet --no-binary llama-cpp-python llama-cpp-python
"$1/bin/python" -c 'import llama_cpp; print("llama-cpp-python", llama_cpp.__version__)'
