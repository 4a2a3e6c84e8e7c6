"""Networks as pure functions of tensors, with hand-derived gradients and kernels."""
