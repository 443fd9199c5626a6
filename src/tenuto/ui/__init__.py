"""`tenuto ui`: try techniques on a prompt in the browser, beside the untouched run."""
