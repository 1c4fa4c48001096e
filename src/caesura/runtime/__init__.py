"""ONNX Runtime sessions and threads."""
