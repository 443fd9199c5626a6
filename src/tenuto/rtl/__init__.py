"""Hardware units in Amaranth, proved against the golden functions; nothing else imports an HDL."""
