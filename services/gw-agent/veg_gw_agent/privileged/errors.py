class KernelError(Exception):
    """The kernel, or a tool that speaks to it, refused something; the message names the object and the answer."""
