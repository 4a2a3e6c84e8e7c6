"""Layers for authors: write a component with one or two methods, in the words of its field.

`TorchModule` takes a torch.nn.Module, `KernelModel` the kernel of two batches of points,
`StepOptimizer` a step, `FitPredict` an outside library's fit and predict. Each writes the rest of
the contract, and every method of it can still be overridden. The conformance kit also uses
`layers.fit_predict`.
"""
