# install.cmake - libmoetune (runtime and simulated GPU), its header, and the package files.
